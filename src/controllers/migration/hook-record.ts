/**
 * What became of the hooks of a migration: a ConfigMap each, in the hub beside the migration and
 * owned by it. It remembers that a hook ran when its Job is gone, and has what it printed.
 */
import { fail } from '../../base/errors.ts';
import { ownerReference } from '../../kube/api.ts';
import type { ObjectKey } from '../../kube/objects.ts';
import { type ConfigMap, configMaps } from '../../kube/resources.ts';
import { ourLabels } from '../../workload/ours.ts';
import { hookJobName, hookLabels, type HookPhase, type HookRun } from './hook-job.ts';
import { type Run, type SideName, uidOf } from './run.ts';

/** What is kept of a log: its end. */
export const logBytesMax = 64 * 1024;

export interface HookRecord {
  /** `Begun` is written before the Job is made, `Running` when it is there. */
  readonly state: 'Begun' | 'Running' | 'Succeeded' | 'Failed';
  readonly side: SideName;
  readonly cluster: string;
  /** Of the Job. */
  readonly namespace: string;
  readonly job: string;
  readonly jobUid: string;
  /** The `spec.retry` of the migration for which it ran. */
  readonly retry: number;
  /** Why it failed. */
  readonly message: string;
  readonly log: string;
}

export function hookRecordKey(run: Run, one: HookRun): ObjectKey {
  return {
    namespace: run.migration.metadata.namespace ?? '',
    name: `${hookJobName(run, one)}-output`,
  };
}

export async function readHookRecord(run: Run, one: HookRun): Promise<HookRecord | undefined> {
  const key = hookRecordKey(run, one);
  const found = await run.context.client.get(configMaps, key);
  if (found === undefined) return undefined;
  const isOwn = found.metadata.ownerReferences?.some(({ uid }) => uid === uidOf(run.migration));
  if (isOwn !== true) {
    fail('Conflict', `ConfigMap ${key.namespace}/${key.name} is not of this migration: delete it`);
  }
  return recordIn(found);
}

/** With the hook that it is of. */
export interface KeptRecord extends HookRecord, HookRun {}

/** Of all hooks that ran for the migration, also of such as its plan does not name any more. */
export async function listHookRecords({
  context,
  migration,
}: Pick<Run, 'context' | 'migration'>): Promise<readonly KeptRecord[]> {
  const kept: KeptRecord[] = [];
  const { namespace = '' } = migration.metadata;
  const { hook: ofHooks, migration: ofMigration } = ourLabels;
  // The list of its images is of it too.
  const selectors = { namespace, labels: `${ofHooks},${ofMigration}=${uidOf(migration)}` };
  for await (const found of context.client.list(configMaps, selectors)) {
    // Playbooks have the label too, and are of no one.
    if (found.metadata.ownerReferences?.some(({ uid }) => uid === uidOf(migration)) !== true)
      continue;
    const { hook = '', phase = '' } = found.data ?? {};
    kept.push({ ...recordIn(found), hook, phase: phase as HookPhase });
  }
  return kept;
}

function recordIn({ data }: ConfigMap): HookRecord {
  const text = (name: string): string => data?.[name] ?? '';
  return {
    state: text('state') as HookRecord['state'],
    side: text('side') as SideName,
    cluster: text('cluster'),
    namespace: text('namespace'),
    job: text('job'),
    jobUid: text('jobUid'),
    retry: Number(text('retry')),
    message: text('message'),
    log: text('log'),
  };
}

export async function writeHookRecord(run: Run, one: HookRun, record: HookRecord): Promise<void> {
  const { retry, ...texts } = record;
  await run.context.client.apply<ConfigMap>(configMaps, {
    metadata: {
      ...hookRecordKey(run, one),
      labels: hookLabels(run, one.hook),
      ownerReferences: [ownerReference(run.migration)],
    },
    data: { ...texts, hook: one.hook, phase: one.phase, retry: String(retry) },
  });
}

/** The end of a text, from the beginning of a line on where there is one. */
export function tailOf(text: string, bytesMax = logBytesMax): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  const tail = bytes.subarray(bytes.length - bytesMax).toString('utf8');
  const line = tail.indexOf('\n');
  return line < 0 || line === tail.length - 1 ? tail : tail.slice(line + 1);
}
