/** Claims: each gets a class, modes, room and a way to travel. */
import { formatSize } from '../../../base/units.ts';
import type { PlannedVolume } from '../volumes.ts';
import type { Check, Judged } from './check.ts';

const volumesGood = 100;
const shared: ReadonlySet<string> = new Set(['ReadOnlyMany', 'ReadWriteMany']);

const text = ({ namespace, claim }: PlannedVolume) => `claim ${namespace}/${claim}`;

/** One sentence about each volume that is copied, or none. */
function each(
  { seen, volumes }: Judged,
  of: (volume: PlannedVolume) => string | undefined,
): readonly string[] | undefined {
  if (seen.seenSource === undefined || seen.seenDestination === undefined) return undefined;
  return volumes
    .filter(({ action }) => action === 'Copy')
    .flatMap((volume) => {
      const found = of(volume);
      return found === undefined ? [] : [`${text(volume)}: ${found}`];
    });
}

const choiceChecks: readonly Check[] = [
  {
    id: 'VolumeNotFound',
    category: 'Error',
    remedy: 'Correct spec.volumes.',
    find: ({ seen: { plan, seenSource }, volumes }) => {
      if (seenSource === undefined) return undefined;
      const found = new Set(volumes.map(({ namespace, claim }) => `${namespace}/${claim}`));
      return (plan.spec.volumes ?? [])
        .map(({ namespace, claim }) => `${namespace}/${claim}`)
        .filter((name) => !found.has(name))
        .map((name) => `there is no claim ${name} in the namespaces of the plan`);
    },
  },
  {
    id: 'VolumeAction',
    category: 'Error',
    remedy: 'Choose an action that status.volumes lists for it.',
    find: ({ volumes }) =>
      volumes
        .filter(({ actions, action }) => !actions.includes(action))
        .map((one) => `${text(one)} on ${one.driver} cannot be done with ${one.action}`),
  },
  {
    id: 'VolumeNotCopied',
    category: 'Warning',
    remedy: 'Copy its data in another way, or use storage that can be reached from elsewhere.',
    find: ({ volumes }) =>
      volumes
        .filter(({ driver }) => driver === 'hostPath' || driver === 'unbound')
        .map((one) => `${text(one)} is ${one.driver}: it is skipped`),
  },
  {
    id: 'VolumeMethod',
    category: 'Error',
    remedy: 'Choose another method, class or mode for it, or skip it.',
    find: (judged) =>
      each(judged, ({ choice, chosen }) => {
        if (choice.method !== undefined) return undefined;
        const asked = choice.declined.filter(({ method }) => (chosen ?? method) === method);
        return asked.map(({ method, message }) => `${method}: ${message}`).join(', ');
      }),
  },
  {
    id: 'VolumeNameConflict',
    category: 'Error',
    remedy: 'Give the claims different names.',
    find: ({ volumes }) => {
      const names = volumes
        .filter(({ action }) => action !== 'Skip')
        .map(({ target }) => `${target.namespace}/${target.claim}`);
      const twice = new Set(names.filter((name, i) => names.indexOf(name) !== i));
      return [...twice].map((name) => `two claims would become ${name}`);
    },
  },
];

export const volumeChecks: readonly Check[] = [
  ...choiceChecks,
  {
    id: 'StorageClassUnavailable',
    category: 'Error',
    remedy: 'Choose a class of the destination in spec.volumes or spec.mappings.storageClasses.',
    find: (judged) =>
      each(judged, ({ target, storageClass }) => {
        if (target.storageClass !== undefined) return undefined;
        const name = target.wantedClass ?? storageClass ?? 'that is not named';
        return `the destination has no class ${name}, nor one of its driver, nor a default`;
      }),
  },
  {
    id: 'SameStorageClass',
    category: 'Error',
    remedy: 'Name another class, size or mode in spec.volumes, or skip the claim.',
    find: (judged) => {
      if (judged.type !== 'StorageConversion') return [];
      return each(judged, ({ target, storageClass, capacityBytes, volumeMode }) => {
        const stays =
          target.storageClass?.metadata.name === storageClass &&
          target.bytes === capacityBytes &&
          target.volumeMode === volumeMode;
        return stays ? `it has class ${storageClass} already` : undefined;
      });
    },
  },
  {
    id: 'AccessModeUnavailable',
    category: 'Warning',
    remedy: 'Choose other access modes in spec.volumes, or a class of shared files.',
    find: (judged) =>
      each(judged, ({ target, driver }) => {
        const many = target.accessModes.filter((mode) => shared.has(mode));
        const provisioner = target.storageClass?.provisioner;
        if (many.length === 0 || provisioner === undefined || provisioner === driver) {
          return undefined;
        }
        return `${provisioner} may not give ${many.join(', ')} as ${driver} does`;
      }),
  },
  {
    id: 'CapacityTooSmall',
    category: 'Error',
    remedy: 'Give it a larger size in spec.volumes.',
    find: (judged) =>
      each(judged, ({ target, usedBytes, capacityBytes, volumeMode }) => {
        const needed = volumeMode === 'Block' ? capacityBytes : (usedBytes ?? 0);
        if (target.bytes >= needed) return undefined;
        return `${formatSize(needed)} do not fit in ${formatSize(target.bytes)}`;
      }),
  },
  {
    id: 'ManyVolumes',
    category: 'Warning',
    remedy: 'Move fewer namespaces at once, or expect a longer cutover.',
    find: ({ seen: { seenSource }, volumes }) => {
      if (seenSource === undefined) return undefined;
      return volumes.length <= volumesGood ? [] : [`there are ${volumes.length} claims`];
    },
  },
];
