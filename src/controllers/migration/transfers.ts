/** The VolumeTransfers of a migration: how they are named, made, steered and told. */
import { createHash } from 'node:crypto';
import {
  type VolumeTransfer,
  type VolumeTransferSpec,
  volumeTransfers,
} from '../../api/kinds/volume-transfer.ts';
import { unlessThere } from '../../base/errors.ts';
import { exactSize, formatSize, parseRate } from '../../base/units.ts';
import { ownerReference } from '../../kube/api.ts';
import { keyOf } from '../../kube/objects.ts';
import { annotations } from '../labels.ts';
import { conditionOf } from '../status.ts';
import type { Run } from './run.ts';
import { shortList } from './steps/sentences.ts';

/** Ahead, last, back. */
export type Pass = 'a' | 'l' | 'b';

export function transferName(
  { migration }: Pick<Run, 'migration'>,
  pass: Pass,
  { namespace, claim }: { readonly namespace: string; readonly claim: string },
): string {
  const hash = createHash('sha256').update(`${namespace}/${claim}`).digest('hex').slice(0, 8);
  return `${(migration.metadata.name ?? '').slice(0, 200)}-${pass}-${hash}`;
}

export function passOf({ metadata }: VolumeTransfer): Pass {
  const { name = '' } = metadata;
  const letter = name.at(-10);
  return letter === 'l' || letter === 'b' ? letter : 'a';
}

/** Asked now: a cache may still show one that was made again since. */
export async function transfersOf(
  { context, migration }: Pick<Run, 'context' | 'migration'>,
  pass?: Pass,
): Promise<readonly VolumeTransfer[]> {
  const { namespace, name } = keyOf(migration);
  const found: VolumeTransfer[] = [];
  const selectors = { namespace, fields: `spec.migration=${name}` };
  for await (const one of context.client.list(volumeTransfers, selectors)) {
    if (!isOwned(migration, one)) continue;
    if (pass === undefined || passOf(one) === pass) found.push(one);
  }
  return found;
}

/** Not of an earlier migration of that name, which is about to be collected. */
function isOwned({ metadata }: Run['migration'], one: VolumeTransfer): boolean {
  return one.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) === true;
}

export function hasSucceeded(one: VolumeTransfer): boolean {
  return conditionOf(one, 'Succeeded')?.status === 'True';
}

export function hasFailed(one: VolumeTransfer): boolean {
  return conditionOf(one, 'Succeeded')?.status === 'False';
}

export function isUnfinished(one: VolumeTransfer): boolean {
  return !hasSucceeded(one) && !hasFailed(one);
}

/** It can be used, and some of its bytes may still be where it came from. */
export function isFilling(one: VolumeTransfer): boolean {
  return hasSucceeded(one) && conditionOf(one, 'Complete')?.status !== 'True';
}

/** All bytes of it are there; how many travelled is told in a moment. */
export function isCounting(one: VolumeTransfer): boolean {
  return isFilling(one) && one.status?.percent === 100;
}

/** The `spec.retry` of the migration that made it. */
export function retryOf({ metadata }: VolumeTransfer): number {
  return Number(metadata.annotations?.[annotations.retry] ?? 0);
}

export async function makeTransfer(
  run: Run,
  name: string,
  spec: Omit<VolumeTransferSpec, 'migration'>,
): Promise<void> {
  const { context, migration } = run;
  const { namespace } = keyOf(migration);
  const owner = { ...ownerReference(migration), controller: true };
  await unlessThere(
    context.client.create<VolumeTransfer>(volumeTransfers, {
      metadata: {
        namespace,
        name,
        ownerReferences: [owner],
        annotations: { [annotations.retry]: String(migration.status?.retried ?? 0) },
      },
      spec: { ...spec, migration: migration.metadata.name ?? '' },
    }),
  );
}

/** What of a transfer follows the plan and the migration while it runs. */
export function steeringOf(
  { plan, migration }: Run,
  running: number,
): { readonly bandwidth: string | undefined; readonly paused: boolean } {
  const rate = plan.spec.bandwidth === undefined ? undefined : parseRate(plan.spec.bandwidth);
  const share = rate === undefined ? undefined : Math.floor(rate / Math.max(1, running));
  return {
    bandwidth: share === undefined ? undefined : exactSize(Math.max(1024, share)),
    paused: migration.spec.paused === true,
  };
}

export function isSteered(
  { spec }: VolumeTransfer,
  { bandwidth, paused }: ReturnType<typeof steeringOf>,
): boolean {
  return spec.bandwidth === bandwidth && (spec.paused ?? false) === paused;
}

export async function steer(
  { context }: Run,
  one: VolumeTransfer,
  { bandwidth, paused }: ReturnType<typeof steeringOf>,
): Promise<void> {
  const spec = { bandwidth: bandwidth ?? null, paused };
  await context.client.patch(volumeTransfers, keyOf(one), { spec });
}

/** `shop/data 47% 110Mi/s attempt 2`. */
export function progressLine({ spec, status, metadata }: VolumeTransfer): string {
  const { percent, bytesPerSecond, attempts = 1 } = status ?? {};
  const object = { metadata, status } as VolumeTransfer;
  const succeeded = conditionOf(object, 'Succeeded');
  const words = [`${spec.source.namespace}/${spec.source.claim}`];
  if (succeeded?.status === 'True') words.push('100%');
  else {
    if (percent !== undefined) words.push(`${percent}%`);
    if (bytesPerSecond !== undefined) words.push(`${formatSize(bytesPerSecond)}/s`);
    const isSaid = succeeded?.reason === 'Waiting' || succeeded?.status === 'False';
    if (isSaid) words.push(succeeded.message);
  }
  if (attempts > 1) words.push(`attempt ${attempts}`);
  return words.join(' ');
}

/** Why copies that are taken away are still there, such as a right that is missing. */
export function leavingText(left: readonly VolumeTransfer[]): string {
  const waits = left.flatMap((one) => {
    const found = conditionOf(one, 'CleanedUp');
    return found === undefined || found.status === 'True' ? [] : [found.message];
  });
  const what = `${left.length} copies are taken away`;
  return waits.length === 0 ? what : `${what}: ${shortList([...new Set(waits)])}`;
}
