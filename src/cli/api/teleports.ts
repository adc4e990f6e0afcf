/** Teleports as objects: found, waited for with progress, and what a person reads of them. */
import type { Teleport } from '../../api/kinds/teleport.ts';
import { resources } from '../../api/kinds/resources.ts';
import { fail } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import type { KubeClient } from '../../kube/api.ts';
import { keyOf, type ObjectKey } from '../../kube/objects.ts';
import { trouble } from '../columns.ts';
import type { Cli } from '../context.ts';
import type { ProgressView } from '../progress.ts';
import { type Field, needObject, printChanged } from './printing.ts';
import { sayer } from './volumes.ts';
import { conditionOf, failWith, until } from './waiting.ts';

const { teleports } = resources;

/** Of the hub that has the object. */
export interface Hub {
  readonly client: KubeClient;
  readonly key: ObjectKey;
}

export async function findTeleport({ client, key }: Hub): Promise<Teleport> {
  return needObject(client, teleports, key);
}

/** Nothing is left to do for it, well or not. A thin one that can be used goes on. */
export function hasEnded(teleport: Teleport): boolean {
  const succeeded = conditionOf(teleport, 'Succeeded');
  if (succeeded?.status === 'False') return true;
  return succeeded?.status === 'True' && succeeded.reason === 'Available';
}

/** All that was asked for is there: of a thin one, that it can be used. */
export function isFinished(teleport: Teleport): boolean {
  if (conditionOf(teleport, 'Succeeded')?.status !== 'True') return false;
  return hasEnded(teleport) || teleport.spec.thin === true;
}

function failIfEnded(teleport: Teleport): void {
  const succeeded = conditionOf(teleport, 'Succeeded');
  if (succeeded?.status === 'False') failWith(succeeded.reason, succeeded.message);
}

export interface Wait {
  readonly timeoutMs?: number;
  /** Bars or lines of progress; without them only what it waits for is said. */
  readonly progress: boolean;
  /** Where the object may be missing: what this incarnation became. */
  readonly uid?: string | undefined;
  readonly isSo?: (teleport: Teleport) => boolean;
}

/** Waits until it can be used, or for `isSo`; fails with its reason when it has failed. */
export async function whenTeleported(cli: Cli, hub: Hub, wait: Wait): Promise<Teleport> {
  const { client, key } = hub;
  const { isSo = isUsable, timeoutMs, progress, uid } = wait;
  const painter = cli.painter();
  const say = sayer(cli);
  const test = (teleport: Teleport | undefined): Teleport | undefined => {
    if (teleport === undefined || (uid !== undefined && teleport.metadata.uid !== uid)) {
      return fail('NotFound', `teleport ${key.name} was deleted meanwhile`);
    }
    failIfEnded(teleport);
    return isSo(teleport) ? teleport : undefined;
  };
  const onObject = (teleport: Teleport): void => {
    if (progress) painter.show(teleportProgress(teleport));
    const blocker = progress ? undefined : blockerOf(teleport);
    if (blocker !== undefined) say(blocker);
  };
  const goesOn =
    `the teleport goes on; see it again with: ` +
    `transship teleport watch ${key.name} --cluster ${client.cluster}`;
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  const found = await until(cli, client, {
    type: teleports,
    key,
    goesOn,
    ...limit,
    test,
    onObject,
  });
  painter.end();
  return found;
}

function isUsable(teleport: Teleport): boolean {
  return conditionOf(teleport, 'Ready')?.status === 'True';
}

/** What a teleport that cannot be used yet waits for. */
function blockerOf(teleport: Teleport): string | undefined {
  const ready = conditionOf(teleport, 'Ready');
  if (ready === undefined || ready.status === 'True') return undefined;
  return ready.reason === 'Initializing' ? undefined : ready.message;
}

export function phaseOf({ status }: Teleport): string {
  return status?.phase ?? 'Pending';
}

/** Two lanes: what somebody waited for, and what came behind. */
export function teleportProgress(teleport: Teleport): ProgressView {
  const { status = {}, metadata } = teleport;
  const { percent = 0, totalBytes = 0, missingBytes = 0, etaSeconds } = status.progress ?? {};
  const { demandBytes = 0, backgroundBytes = 0, presentBytes = 0 } = status.progress ?? {};
  const isMoving = !hasEnded(teleport);
  return {
    title: metadata.name ?? '',
    phase: phaseOf(teleport),
    percent: `${percent}%`,
    doneBytes: Math.max(0, totalBytes - missingBytes),
    totalBytes,
    bytesPerSecond: isMoving ? (status.progress?.bytesPerSecond ?? 0) : 0,
    etaMs: isMoving && etaSeconds !== undefined ? etaSeconds * 1000 : undefined,
    lanes: [
      { label: 'on demand', bytes: demandBytes },
      { label: 'background', bytes: backgroundBytes },
      { label: 'there before', bytes: presentBytes },
    ],
    trouble: troubleOf(teleport),
  };
}

function troubleOf(teleport: Teleport): string | undefined {
  const isEnded = hasEnded(teleport);
  const conditions = (teleport.status?.conditions ?? []).filter(({ type, reason }) => {
    return reason !== 'Initializing' && (type !== 'Succeeded' || isEnded);
  });
  return trouble(conditions);
}

/** What the columns leave out. */
export function teleportFields({ spec, status = {} }: Teleport): readonly Field[] {
  const { progress = {} } = status;
  const { totalBytes, presentBytes, demandBytes, backgroundBytes, wireBytes } = progress;
  const text = (bytes: number | undefined) => {
    return bytes === undefined ? undefined : formatBytes(bytes);
  };
  const afterMs = status.accessibleAfterMilliseconds;
  return [
    ['Thin', spec.thin === true ? 'yes' : 'no'],
    ...(spec.at === undefined ? [] : [['At', spec.at] as const]),
    ...(spec.snapshot === undefined ? [] : [['Snapshot', spec.snapshot] as const]),
    ...(spec.bandwidth === undefined ? [] : [['Limit', spec.bandwidth] as const]),
    ['Total', text(totalBytes)],
    ['Present', text(presentBytes)],
    ['Demand', text(demandBytes)],
    ['Background', text(backgroundBytes)],
    ['Wire', text(wireBytes)],
    ['Accessible', afterMs === undefined ? undefined : `after ${afterMs} ms`],
    ['Volume', status.volume],
  ];
}

/** The last word of a command that waited for the data. */
export async function printFinished(cli: Cli, hub: Hub, done: Teleport): Promise<void> {
  await printChanged(cli, hub.client, { type: teleports, object: done }, phaseOf(done));
  const { progress = {}, accessibleAfterMilliseconds: afterMs } = done.status ?? {};
  const fetched = formatBytes(progress.fetchedBytes ?? 0);
  const wire = formatBytes(progress.wireBytes ?? 0);
  const began = afterMs === undefined ? '' : `accessible after ${afterMs} ms, `;
  cli.note(`${began}fetched ${fetched} as ${wire} on the wire`);
}

/** That a teleport of this name exists is no trouble when it is over and its copy is gone. */
export async function replaceEnded(
  cli: Cli,
  hub: Hub,
  isCopyGone: (old: Teleport) => Promise<boolean>,
): Promise<void> {
  const { client, key } = hub;
  const old = await client.get(teleports, key);
  if (old === undefined) return;
  const { uid } = old.metadata;
  if (!hasEnded(old) || !(await isCopyGone(old))) {
    const where = `cluster ${client.cluster} has a teleport ${key.name} already`;
    fail('AlreadyExists', `${where} (${phaseOf(old)}); choose another --name`);
  }
  await client.delete(teleports, keyOf(old), uid === undefined ? {} : { uid });
  await until<Teleport, true>(cli, client, {
    type: teleports,
    key,
    goesOn: `the older teleport ${key.name} is still being deleted`,
    timeoutMs: replaceMs,
    test: (now) => (now?.metadata.uid === uid && now !== undefined ? undefined : true),
  });
}

const replaceMs = 60_000;
