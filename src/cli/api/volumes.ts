/** Volumes through the API: found, waited for, deleted. What cannot be done says why. */
import type { Volume } from '../../api/kinds/volume.ts';
import { resources } from '../../api/kinds/resources.ts';
import type { VolumeObject } from '../../api/objects.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { isReason, type Reason } from '../../base/reasons.ts';
import { annotations, finalizers, isSourceFinalizer } from '../../controllers/labels.ts';
import type { KubeClient } from '../../kube/api.ts';
import { type Condition, keyOf, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import type { Cli } from '../context.ts';
import { needObject } from './printing.ts';
import { conditionOf, currentCondition, failWith, until, type WithConditions } from './waiting.ts';

const { volumes } = resources;

/** For what takes a moment when all is well; then exit 5, and it goes on. */
export const momentMs = 60_000;

export async function findVolume(client: KubeClient, name: string): Promise<Volume> {
  return needObject(client, volumes, { namespace: '', name });
}

/** What passes by itself, soon: it is waited for. All else is an answer. */
const passing: ReadonlySet<Reason> = new Set([
  'AgentUnreachable',
  'ApiFailed',
  'ApiUnreachable',
  'Conflict',
  'SourceUnreachable',
  'Stopping',
  'TimedOut',
  'TooManyRequests',
]);

/** A refusal: what was asked for will not be so unless somebody does something. */
export function isFinal(condition: Condition | undefined): condition is Condition {
  if (condition?.status !== 'False') return false;
  return isReason(condition.reason) && !passing.has(condition.reason);
}

/** Fails with the reason of a condition that says no. */
export function failIfFinal(condition: Condition | undefined): void {
  if (isFinal(condition)) failWith(condition.reason, condition.message);
}

interface Making<T extends KubeObject & WithConditions> {
  readonly type: ResourceType<T>;
  readonly made: T;
  readonly goesOn: string;
  readonly timeoutMs?: number;
}

/**
 * The object once it is `Ready`. What was just made and can never be ready is taken away again:
 * a command that fails changes nothing.
 */
export async function whenReady<T extends KubeObject & WithConditions>(
  cli: Cli,
  client: KubeClient,
  making: Making<T>,
): Promise<T> {
  const { type, made, goesOn, timeoutMs = momentMs } = making;
  const { uid } = made.metadata;
  let refused = false;
  const say = sayer(cli);
  const test = (object: T | undefined): T | undefined => {
    if (object?.metadata.uid !== uid) return undefined;
    const ready = object === undefined ? undefined : currentCondition(object, 'Ready');
    if (ready?.status === 'True') return object;
    refused = isFinal(ready);
    failIfFinal(ready);
    if (isReason(ready?.reason ?? '')) say(ready!.message);
    return undefined;
  };
  try {
    return await until(cli, client, { type, key: keyOf(made), goesOn, timeoutMs, test });
  } catch (error) {
    if (refused) await client.delete(type, keyOf(made), uid === undefined ? {} : { uid });
    throw error;
  }
}

/** Says what is waited for, each thing once. */
export function sayer(cli: Cli): (message: string) => void {
  let said = '';
  return (message) => {
    if (message === said) return;
    said = message;
    cli.note(`waiting: ${message}`);
  };
}

export function lookAgain(what: string, client: KubeClient): string {
  return `it goes on; see: transship ${what} --cluster ${client.cluster}`;
}

/** The object that stands for a volume which an agent has just got. */
export async function volumeThere(cli: Cli, client: KubeClient, name: string): Promise<Volume> {
  return until(cli, client, {
    type: volumes,
    key: { namespace: '', name },
    goesOn: lookAgain(`volume show ${name}`, client),
    timeoutMs: momentMs,
    test: (object) => object,
  });
}

/** Once the agent has what the spec says; with what it says when it never will. */
export async function whenSynced(
  cli: Cli,
  client: KubeClient,
  changed: Volume,
  isSo: (volume: Volume) => boolean,
): Promise<Volume> {
  const { name = '', generation = 0 } = changed.metadata;
  return until(cli, client, {
    type: volumes,
    key: keyOf(changed),
    goesOn: lookAgain(`volume show ${name}`, client),
    timeoutMs: momentMs,
    test: (volume) => {
      if (volume === undefined) return fail('NotFound', `volume ${name} was deleted meanwhile`);
      if ((volume.metadata.generation ?? 0) < generation) return undefined;
      const synced = currentCondition(volume, 'Synced');
      failIfFinal(synced);
      return synced?.status === 'True' && isSo(volume) ? volume : undefined;
    },
  });
}

/**
 * What the agent of this machine says now, because a status may be some seconds old; undefined
 * where no agent can be asked.
 */
export async function agentView(cli: Cli, name: string): Promise<VolumeObject | undefined> {
  if (cli.namesContext) return undefined;
  try {
    return await (await cli.client()).call('volume.show', { name });
  } catch (error) {
    const { reason } = asTransshipError(error);
    if (reason === 'AgentUnreachable' || reason === 'NotFound') return undefined;
    throw error;
  }
}

/** Names who still reads a volume, or has it open. */
export function checkUnused(volume: Volume, seen: VolumeObject | undefined): void {
  const { name = '', finalizers: held = [] } = volume.metadata;
  const readers = seen?.status.leasedBy ?? volume.status?.leasedBy ?? [];
  const isSource = held.some(isSourceFinalizer);
  if (readers.length > 0 || isSource) {
    const who = readers.length > 0 ? readers.join(', ') : 'a teleport that has not ended';
    fail('Leased', `volume ${name} is still read by ${who}`);
  }
  const user = seen === undefined ? volume.status?.attachedTo : seen.status.attachedTo;
  if (user !== undefined) fail('InUse', `volume ${name} is attached to ${user}; detach it first`);
}

/** Asks for the deletion and waits until nothing is left; names who holds it up. */
export async function deleteVolume(
  cli: Cli,
  client: KubeClient,
  volume: Volume,
  force: boolean,
): Promise<void> {
  if (!force) return deleteObject(cli, client, { type: volumes, object: volume });
  const metadata = { annotations: { [annotations.forceDelete]: 'true' } };
  await client.patch(volumes, keyOf(volume), { metadata });
  // The object may stay a while for those who still read: a lease keeps the data for them.
  const isGone = (now: Volume) => now.metadata.finalizers?.includes(finalizers.volume) !== true;
  return deleteObject(cli, client, { type: volumes, object: volume, isGone });
}

interface Doomed<T extends KubeObject & WithConditions> {
  readonly type: ResourceType<T>;
  readonly object: T;
  /** What is left of it does not count. */
  readonly isGone?: (now: T) => boolean;
}

/** Deletes what was shown, and not a successor of the same name; waits until it is gone. */
export async function deleteObject<T extends KubeObject & WithConditions>(
  cli: Cli,
  client: KubeClient,
  { type, object, isGone = () => false }: Doomed<T>,
): Promise<void> {
  const { name = '', uid } = object.metadata;
  await client.delete(type, keyOf(object), uid === undefined ? {} : { uid });
  await until<T, true>(cli, client, {
    type,
    key: keyOf(object),
    goesOn: `${type.kind.toLowerCase()}/${name} goes as soon as nothing holds it`,
    timeoutMs: momentMs,
    test: (now) => {
      if (now === undefined || now.metadata.uid !== uid) return true;
      if (now.metadata.deletionTimestamp !== undefined && isGone(now)) return true;
      const deleting = conditionOf(now, 'Deleting');
      if (deleting?.status !== 'False') return undefined;
      const { reason, message } = deleting;
      return failWith(reason, `${message}; it goes as soon as nothing holds it`);
    },
  });
}
