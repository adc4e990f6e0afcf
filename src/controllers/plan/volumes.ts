/** What becomes of each claim that was found: class, modes, size, action and method. Pure. */
import type { Plan } from '../../api/kinds/plan.ts';
import type { StorageClass } from '../../kube/resources.ts';
import { driverOf } from '../../workload/needs.ts';
import { quantityBytes } from '../claim/made.ts';
import {
  type Action,
  actionsFor,
  type Choice,
  chooseMethod,
  formatChangesOf,
  type Method,
} from './method-ladder.ts';
import { type FoundClaim, namespaceThere, type Observation } from './observation.ts';

export const defaultClass = 'storageclass.kubernetes.io/is-default-class';

export interface PlannedVolume {
  readonly namespace: string;
  readonly claim: string;
  readonly volume: string | undefined;
  readonly driver: string;
  readonly storageClass: string | undefined;
  readonly capacityBytes: number;
  readonly usedBytes: number | undefined;
  readonly accessModes: readonly string[];
  readonly volumeMode: 'Filesystem' | 'Block';
  readonly actions: readonly Action[];
  readonly action: Action;
  readonly choice: Choice;
  readonly chosen: Method | undefined;
  readonly target: {
    readonly namespace: string;
    readonly claim: string;
    /** Undefined: none was found. */
    readonly storageClass: StorageClass | undefined;
    /** As asked for; undefined: nobody did. */
    readonly wantedClass: string | undefined;
    readonly accessModes: readonly string[];
    readonly volumeMode: 'Filesystem' | 'Block';
    readonly bytes: number;
  };
}

type Wish = NonNullable<Plan['spec']['volumes']>[number];

/** The class asked for, mapped, of the same provisioner (same name first), or the default. */
function classFor(
  { plan, seenDestination, seenSource }: Observation,
  wish: Wish | undefined,
  current: string | undefined,
): { readonly wanted: string | undefined; readonly found: StorageClass | undefined } {
  const classes = seenDestination?.classes ?? [];
  const named = (name: string | undefined) =>
    classes.find(({ metadata }) => metadata.name === name);
  const mapped = plan.spec.mappings?.storageClasses?.find(({ from }) => from === current)?.to;
  const wanted = wish?.storageClass ?? mapped;
  if (wanted !== undefined) return { wanted, found: named(wanted) };
  const here = seenSource?.classes.find(({ metadata }) => metadata.name === current);
  const alike = classes.filter(({ provisioner }) => provisioner === here?.provisioner);
  const isDefault = ({ metadata }: StorageClass) => metadata.annotations?.[defaultClass] === 'true';
  const same = alike.find(({ metadata }) => metadata.name === current);
  return { wanted, found: same ?? alike[0] ?? classes.find(isDefault) };
}

export function plannedVolumes(seen: Observation): readonly PlannedVolume[] {
  const wishes = new Map(
    (seen.plan.spec.volumes ?? []).map((one) => [`${one.namespace}/${one.claim}`, one]),
  );
  return (seen.seenSource?.claims ?? []).map((found) => {
    const { namespace = '', name = '' } = found.claim.metadata;
    return plannedVolume(seen, found, wishes.get(`${namespace}/${name}`));
  });
}

function plannedVolume(
  seen: Observation,
  { claim, volume, usedBytes }: FoundClaim,
  wish: Wish | undefined,
): PlannedVolume {
  const { plan, source, destination } = seen;
  const { namespace = '', name = '' } = claim.metadata;
  const isSameCluster = plan.spec.source === plan.spec.destination;
  const driver = volume === undefined ? 'unbound' : driverOf(volume);
  const storageClass = volume?.spec?.storageClassName ?? claim.spec?.storageClassName;
  const target = classFor(seen, wish, storageClass);
  const requested = claim.spec?.resources?.requests?.storage;
  const capacityBytes = quantityBytes(volume?.spec?.capacity?.storage ?? requested) ?? 0;
  const volumeMode = volume?.spec?.volumeMode ?? claim.spec?.volumeMode ?? 'Filesystem';
  const accessModes = volume?.spec?.accessModes ?? claim.spec?.accessModes ?? [];
  const targetMode = wish?.volumeMode ?? volumeMode;
  const targetBytes = quantityBytes(wish?.size) ?? capacityBytes;
  const actions = volume === undefined ? (['Skip'] as const) : actionsFor(driver, isSameCluster);
  const action = wish?.action ?? actions[0] ?? 'Skip';
  const choice = chooseMethod({
    driver,
    volumeMode,
    targetMode,
    sizeBytes: capacityBytes,
    targetBytes,
    targetProvisioner: target.found?.provisioner,
    isSameCluster,
    formatChanges: formatChangesOf(
      seen.seenSource?.classes.find(({ metadata }) => metadata.name === storageClass),
      target.found,
    ),
    capabilities: { source: source.capabilities, destination: destination.capabilities },
    chosen: wish?.method,
  });
  return {
    namespace,
    claim: name,
    volume: volume?.metadata.name,
    driver,
    storageClass,
    capacityBytes,
    usedBytes,
    accessModes,
    volumeMode,
    actions,
    action,
    choice,
    chosen: wish?.method,
    target: {
      namespace: namespaceThere(plan, namespace),
      claim: wish?.name ?? name,
      storageClass: target.found,
      wantedClass: target.wanted,
      accessModes: wish?.accessModes ?? accessModes,
      volumeMode: targetMode,
      bytes: targetBytes,
    },
  };
}
