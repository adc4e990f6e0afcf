/**
 * Stops and starts what a plan says, step by step. Every step looks first, so that all of it can be
 * interrupted anywhere and run again; the records are kept before anything is changed.
 */
import { fail, TransshipError } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import type { KubeObject } from '../kube/objects.ts';
import { persistentVolumeClaims, volumeAttachments } from '../kube/resources.ts';
import { pods } from '../kube/workloads.ts';
import { nameText, type ObjectName } from './names.ts';
import { type Writer, type ProofOptions, writersLeft } from './quiesce.ts';
import type { RecordStore } from './record-store.ts';
import { isStopped, joinRecords, restoreOf, stopPatch, type UndoRecord } from './undo.ts';

/** Somebody may be quicker so many times in a row. */
const conflictsMax = 5;
/**
 * Stops what the records say, and what records of an earlier, interrupted run say. Resolves when
 * all is asked for; that nobody writes any more is `findWriters`' to prove.
 */
export async function stopWriters(
  client: KubeClient,
  records: readonly UndoRecord[],
  store: RecordStore<UndoRecord>,
): Promise<{ readonly changed: readonly ObjectName[] }> {
  const known = await store.load();
  const all = joinRecords(known, records);
  if (all.length > known.length) await store.save(all);
  const changed: ObjectName[] = [];
  for (const record of all) if (await stop(client, record)) changed.push(record.name);
  return { changed };
}

async function stop(client: KubeClient, record: UndoRecord): Promise<boolean> {
  const { type, name, uid } = record;
  if (record.action === 'Delete') {
    const current = await client.get(type, name);
    if (current?.metadata.uid !== uid || current.metadata.deletionTimestamp !== undefined) {
      return false;
    }
    return client.delete(type, name, { uid });
  }
  return change(client, record, (object) =>
    isStopped(record, object) ? undefined : stopPatch(record),
  );
}

/** Patches the object as long as it is the one that was meant; true when it was changed. */
async function change(
  client: KubeClient,
  { type, name, uid }: UndoRecord,
  patchFor: (object: KubeObject) => Readonly<Record<string, unknown>> | undefined,
): Promise<boolean> {
  for (let again = 0; ; again++) {
    const object = await client.get(type, name);
    if (object === undefined || object.metadata.uid !== uid) return false;
    const patch = patchFor(object);
    if (patch === undefined) return false;
    const { resourceVersion } = object.metadata;
    const metadata = { ...(patch['metadata'] as object | undefined), resourceVersion };
    try {
      await client.patch(type, name, { ...patch, metadata });
      return true;
    } catch (error) {
      const isConflict = error instanceof TransshipError && error.reason === 'Conflict';
      if (!isConflict || again >= conflictsMax) throw error;
    }
  }
}

export interface StartResult {
  readonly changed: readonly ObjectName[];
  /** What could not be put back as it was, in a sentence each. */
  readonly warnings: readonly string[];
}

/**
 * Puts everything back, managers last. Safe to repeat; the records stay with the store. What fails
 * keeps nothing else from being put back; the first failure is thrown at the end.
 */
export async function startAgain(
  client: KubeClient,
  store: RecordStore<UndoRecord>,
): Promise<StartResult> {
  const changed: ObjectName[] = [];
  const warnings: string[] = [];
  const failures: TransshipError[] = [];
  for (const record of (await store.load()).toReversed()) {
    const undo = record.action === 'Delete' ? makeAgain : putBack;
    try {
      if (await undo(client, record, warnings)) changed.push(record.name);
    } catch (error) {
      if (!(error instanceof TransshipError)) throw error;
      failures.push(error);
    }
  }
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  return { changed, warnings };
}

async function makeAgain(
  client: KubeClient,
  { type, name, uid, object }: UndoRecord,
  warnings: string[],
): Promise<boolean> {
  const current = await client.get(type, name);
  if (object === undefined) return fail('Internal', `no object is kept of ${nameText(name)}`);
  if (current?.metadata.uid === uid && current.metadata.deletionTimestamp !== undefined) {
    return fail('Conflict', `${nameText(name)} is still ending; it is made again afterwards`);
  }
  if (current !== undefined) return false;
  try {
    await client.create(type, object);
    return true;
  } catch (error) {
    if (!(error instanceof TransshipError) || error.reason !== 'Invalid') throw error;
    warnings.push(`${nameText(name)} could not be made again: ${error.message}`);
    return false;
  }
}

async function putBack(
  client: KubeClient,
  record: UndoRecord,
  warnings: string[],
): Promise<boolean> {
  const { type, name, uid } = record;
  const current = await client.get(type, name);
  if (current === undefined || current.metadata.uid !== uid) {
    const happened = current === undefined ? 'was deleted' : 'was replaced by another';
    warnings.push(`${nameText(name)} ${happened} while it was stopped`);
    return false;
  }
  for (const field of restoreOf(record, current).changedByOthers) {
    warnings.push(`${nameText(name)}: ${field} was changed meanwhile and stays as it is`);
  }
  return change(client, record, (object) => restoreOf(record, object).patch);
}

/** Reads pods, claims and attachments, and says who can still write. */
export async function findWriters(
  client: KubeClient,
  claims: ReadonlySet<string>,
  isOurs?: ProofOptions['isOurs'],
): Promise<readonly Writer[]> {
  const namespaces = new Set([...claims].map((claim) => claim.slice(0, claim.indexOf('/'))));
  const running: KubeObject[] = [];
  const volumes = new Map<string, string>();
  for (const namespace of namespaces) {
    for await (const claim of client.list(persistentVolumeClaims, { namespace })) {
      const key = `${namespace}/${claim.metadata.name ?? ''}`;
      const volume = claim.spec?.volumeName;
      if (volume !== undefined && claims.has(key)) volumes.set(volume, key);
    }
    for await (const pod of client.list(pods, { namespace })) running.push(pod);
  }
  const attached: KubeObject[] = [];
  for await (const one of client.list(volumeAttachments)) attached.push(one);
  return writersLeft(running, attached, {
    claims,
    volumes,
    ...(isOurs === undefined ? {} : { isOurs }),
  });
}
