/**
 * What becomes of each claim, found out once and kept for the whole run: a class that appears, or a
 * claim that somebody adds, while the copies run must not change what is being made.
 */
import type { VolumeTransferSpec } from '../../api/kinds/volume-transfer.ts';
import { fail, unlessThere } from '../../base/errors.ts';
import { exactSize } from '../../base/units.ts';
import { ownerReference } from '../../kube/api.ts';
import type { ObjectKey } from '../../kube/objects.ts';
import { type Secret, secrets } from '../../kube/resources.ts';
import type { Unreadable } from '../../workload/inventory.ts';
import { labels } from '../labels.ts';
import { observePlan } from '../plan/observe.ts';
import { temporaryName } from '../plan/temporary-claim.ts';
import { type PlannedVolume, plannedVolumes } from '../plan/volumes.ts';
import { moveId, nameThere, type Run, uidOf } from './run.ts';

export interface Choice {
  readonly namespace: string;
  readonly claim: string;
  readonly action: 'Copy' | 'Move' | 'Skip';
  readonly destination: VolumeTransferSpec['destination'];
  readonly method?: NonNullable<VolumeTransferSpec['method']>;
  readonly verify: boolean;
}

/** In the namespace of the migration, and gone with it. */
function choicesKey({ migration }: Pick<Run, 'migration'>): ObjectKey {
  const { namespace = '' } = migration.metadata;
  return { namespace, name: `transship-choices-${uidOf(migration)}` };
}

/** Undefined: none have been made yet. */
export async function loadChoices(run: Run): Promise<readonly Choice[] | undefined> {
  return (await load(run, 'choices')) as readonly Choice[] | undefined;
}

/**
 * Kinds of the source, as `apps/deployments`, that could not be listed when the choices were made:
 * a person was told of these, and of no others.
 */
export async function loadHiddenKinds(run: Run): Promise<ReadonlySet<string>> {
  return new Set((await load(run, 'hidden')) as readonly string[] | undefined);
}

async function load(run: Run, entry: 'choices' | 'hidden'): Promise<unknown> {
  const text = (await run.context.client.get(secrets, choicesKey(run)))?.data?.[entry];
  return text === undefined ? undefined : JSON.parse(Buffer.from(text, 'base64').toString());
}

const packed = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');

/** Takes the last word about what is about to be kept. */
export type Settle = (found: readonly Choice[]) => Promise<readonly Choice[]>;

/** Those that are kept already, else those of a look at both clusters now. */
export async function ensureChoices(
  run: Run,
  settle: Settle = async (found) => found,
): Promise<readonly Choice[]> {
  const known = await loadChoices(run);
  if (known !== undefined) return known;
  const seen = await observePlan(run.context, run.plan);
  if (seen.seenSource === undefined || seen.seenDestination === undefined) {
    return fail('ApiUnreachable', 'a cluster of the plan cannot be asked now');
  }
  if (seen.seenSource.survey === undefined) {
    // Nothing to copy would be found, and be kept as if that were all.
    fail('NotFound', `a namespace of the plan is gone from cluster ${seen.source.name}`);
  }
  if (seen.seenSource.hidden !== undefined) fail('Forbidden', seen.seenSource.hidden);
  const found = await settle(plannedVolumes(seen).map((one) => choiceOf(run, one)));
  const hidden = seen.seenSource.survey.inventory.unreadable.map(kindOf);
  const owner = { ...ownerReference(run.migration), controller: true };
  await unlessThere(
    run.context.client.create<Secret>(secrets, {
      metadata: {
        ...choicesKey(run),
        ownerReferences: [owner],
        labels: { [labels.migration]: uidOf(run.migration) },
      },
      data: { choices: packed(found), hidden: packed(hidden) },
    }),
  );
  return (await loadChoices(run)) ?? found;
}

export function kindOf({ group, plural }: Unreadable): string {
  return `${group}/${plural}`;
}

/** They were for one run, which is over. */
export async function forgetChoices(run: Run): Promise<void> {
  await run.context.client.delete(secrets, choicesKey(run));
}

function choiceOf(run: Run, volume: PlannedVolume): Choice {
  const { namespace, claim, target, action, chosen, accessModes, capacityBytes } = volume;
  const there = nameThere(run, namespace);
  const storageClass = target.storageClass?.metadata.name ?? target.wantedClass;
  const wish = (run.plan.spec.volumes ?? []).find((one) => {
    return one.namespace === namespace && one.claim === claim;
  });
  const isChanged = String(target.accessModes) !== String(accessModes);
  const modes = target.accessModes as NonNullable<Choice['destination']['accessModes']>;
  return {
    namespace,
    claim,
    action,
    destination: {
      cluster: run.plan.spec.destination,
      namespace: there,
      claim: claimThere(run, { namespace, claim }, { namespace: there, claim: target.claim }),
      ...(storageClass === undefined || action === 'Move' ? {} : { storageClass }),
      ...(isChanged ? { accessModes: modes } : {}),
      ...(target.volumeMode === volume.volumeMode ? {} : { volumeMode: target.volumeMode }),
      ...(target.bytes === capacityBytes ? {} : { size: exactSize(target.bytes) }),
    },
    ...(chosen === undefined ? {} : { method: chosen }),
    verify: wish?.verify === true,
  };
}

interface ClaimName {
  readonly namespace: string;
  readonly claim: string;
}

/** One that would take the place of its own source has another name until it is swapped. */
function claimThere(run: Run, from: ClaimName, to: ClaimName): string {
  const { source, destination } = run.plan.spec;
  const isSame = from.namespace === to.namespace && from.claim === to.claim;
  if (source !== destination || !isSame) return to.claim;
  return temporaryClaim(run, to.claim);
}

/** A name for a claim that is swapped later; the same in all migrations of the plan. */
export function temporaryClaim(run: Run, claim: string): string {
  return temporaryName(moveId(run), claim);
}
