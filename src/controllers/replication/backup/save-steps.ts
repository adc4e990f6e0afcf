/** The steps of a backup: volumes are saved first, then all objects, and then it exists. */
import { fail } from '../../../base/errors.ts';
import type { Observation, Step } from '../../../flow/flow.ts';
import { createDiscovery } from '../../../kube/discovery.ts';
import { namespaces } from '../../../kube/resources.ts';
import { readItems, takeInventory } from '../../../workload/inventory.ts';
import { uidOf } from '../../migration/run.ts';
import { shortList } from '../../migration/steps/sentences.ts';
import { conditionOf } from '../../status.ts';
import { makeRepositoryKnown } from '../../volume-transfer/methods/repository-copies.ts';
import { type Counted, hasVolumes, type ReplicationRun } from '../as-plan.ts';
import { type BackupHead, type BackupLine, type BackupVolume, LineWriter } from './content.ts';
import { BackupStore } from './store.ts';
import {
  backupName,
  type Bound,
  claimsOf,
  forgetVersions,
  hasOurVolume,
  savedOf,
  saveVolume,
  versionName,
} from './versions.ts';

type Run = ReplicationRun;

const minuteMs = 60_000;
const linesMax = 100;
const keepDefault = 7;

const namesOf = ({ replication }: Run): readonly string[] =>
  replication.spec.namespaces.map(({ name }) => name);

export function storeOf({ context, replication }: Run): Promise<BackupStore> {
  return BackupStore.open(context, replication.spec.repository ?? '');
}

/** Until agents of a cluster have heard how the repository is reached. */
export function knowRepository(side: 'source' | 'destination'): Step<Run> {
  const look = (run: Run) =>
    makeRepositoryKnown(run.context, run.replication.spec.repository ?? '', run[side]);
  return {
    name: 'knowRepository',
    description: 'Makes the repository known to the agents of the cluster.',
    deadlineMs: 10 * minuteMs,
    observe: async (run) => {
      const waiting = await look(run);
      if (waiting === undefined) return { kind: 'done' };
      return { kind: 'waiting', message: waiting, remedy: 'See `transship repository check`.' };
    },
    ensure: async () => undefined,
  };
}

async function toSave(run: Run): Promise<readonly Bound[]> {
  if (!hasVolumes(run.replication)) return [];
  const all = await claimsOf(run.source.client, namesOf(run));
  return all.filter(hasOurVolume);
}

const claimText = ({ claim: { metadata } }: Bound): string =>
  `claim ${metadata.namespace}/${metadata.name}`;

const saveVolumes: Step<Run> = {
  name: 'saveVolumes',
  description: 'Saves the volumes in the repository: what it does not have.',
  deadlineMs: 60 * minuteMs,
  isNeeded: async ({ replication }) => hasVolumes(replication),
  observe: async (run): Promise<Observation> => {
    const saved = await savedOf(run);
    const wanted = await toSave(run);
    const [open, lines]: [string[], string[]] = [[], []];
    let percents = 0;
    for (const one of wanted) {
      const version = saved.get(versionName(run, one.claim));
      if (version === undefined) return { kind: 'notStarted' };
      const succeeded = conditionOf(version, 'Succeeded');
      const isDone = succeeded?.status === 'True';
      percents += isDone ? 100 : (version.status?.percent ?? 0);
      lines.push(`${claimText(one)}: ${succeeded?.message ?? 'it is to be saved'}`);
      if (isDone) continue;
      const trouble = succeeded !== undefined && succeeded.reason !== 'Saving';
      open.push(trouble ? `${claimText(one)}: ${succeeded.message}` : '');
    }
    if (open.length === 0) return { kind: 'done' };
    const troubles = open.filter((one) => one !== '');
    const remedy = 'See the SavedVersions of the cluster; they go on by themselves.';
    if (troubles.length > 0) return { kind: 'waiting', message: shortList(troubles), remedy };
    const message = `${open.length} of ${wanted.length} volumes are being saved`;
    const percent = Math.floor(percents / wanted.length);
    return { kind: 'running', message, percent, progress: lines.slice(0, linesMax) };
  },
  ensure: async (run) => {
    for (const one of await toSave(run)) await saveVolume(run, one);
  },
};

/** Everything in the namespaces that can be made again somewhere. */
async function* linesOf(run: Run): AsyncGenerator<BackupLine> {
  const { client } = run.source;
  const names = namesOf(run);
  for (const name of names) {
    const object = await client.get(namespaces, { namespace: '', name });
    if (object === undefined) fail('NotFound', `there is no namespace ${name}`);
    yield { type: namespaces, object };
  }
  const served = await createDiscovery(client).resources();
  const { items, unreadable } = await takeInventory(client, { namespaces: names, served });
  if (unreadable.length > 0) {
    const hidden = shortList(unreadable.map(({ message }) => message));
    // Whoever was told may have decided that the rest is worth having.
    if (run.replication.status?.overruled !== true) fail('Forbidden', hidden);
    run.warn(`Not in the backup: ${hidden}.`);
  }
  for await (const { item, object } of readItems(client, items)) {
    yield { type: item.type, object };
  }
}

class Counts {
  readonly #counts = new Map<string, Counted>();

  add({ type: { group, plural } }: BackupLine): void {
    const resource = group === '' ? plural : `${plural}.${group}`;
    const { total } = this.#counts.get(resource) ?? { total: 0 };
    this.#counts.set(resource, { resource, total: total + 1, replicated: total + 1 });
  }

  get all(): readonly Counted[] {
    return [...this.#counts.values()];
  }
}

async function volumesSaved(run: Run): Promise<readonly BackupVolume[]> {
  const saved = await savedOf(run);
  const found: BackupVolume[] = [];
  for (const { claim, volume } of await toSave(run)) {
    const version = saved.get(versionName(run, claim));
    // A claim that came since the volumes were saved is empty in the backup.
    if (version === undefined || conditionOf(version, 'Succeeded')?.status !== 'True') {
      run.warn(`Claim ${claim.metadata.namespace}/${claim.metadata.name} came while it ran.`);
      continue;
    }
    const fsType = volume?.spec?.volumeMode === 'Block' ? undefined : volume?.spec?.csi?.fsType;
    found.push({
      namespace: claim.metadata.namespace ?? '',
      claim: claim.metadata.name ?? '',
      volume: version.spec.volume,
      version: versionName(run, claim),
      bytes: version.status?.sizeBytes ?? 0,
      addedBytes: version.status?.addedBytes ?? 0,
      ...(fsType === undefined ? {} : { fsType }),
    });
  }
  return found;
}

const saveObjects: Step<Run> = {
  name: 'saveObjects',
  description: 'Puts all objects of the namespaces, encrypted, into the repository.',
  deadlineMs: 30 * minuteMs,
  observe: async (run) => {
    const heads = await (await storeOf(run)).list();
    return { kind: heads.some(({ name }) => name === backupName(run)) ? 'done' : 'notStarted' };
  },
  ensure: async (run) => {
    const store = await storeOf(run);
    const name = backupName(run);
    const [writer, counts] = [new LineWriter(), new Counts()];
    let parts = 0;
    const put = async (contents: readonly string[]): Promise<void> => {
      for (const content of contents) await store.putPart(name, ++parts, content);
    };
    for await (const line of linesOf(run)) {
      counts.add(line);
      await put(writer.add(line));
    }
    await put(writer.finish());
    // With the head it is done: whoever goes on then counts no more.
    await run.tell(counts.all);
    const { replication, source } = run;
    await store.putHead({
      name,
      by: uidOf(replication),
      cluster: source.name,
      time: replication.status?.startTime ?? '',
      namespaces: namesOf(run),
      volumes: await volumesSaved(run),
      objects: writer.count,
      parts,
    });
  },
};

const sum = (all: readonly BackupVolume[], of: 'bytes' | 'addedBytes'): number =>
  all.reduce((sofar, one) => sofar + one[of], 0);

function shown({ name, time, objects, volumes }: BackupHead) {
  const [bytes, addedBytes] = [sum(volumes, 'bytes'), sum(volumes, 'addedBytes')];
  return { name, time, objects, volumes: volumes.length, bytes, addedBytes };
}

/** Those of this replication, the newest last. */
async function ownBackups(run: Run, store: BackupStore): Promise<readonly BackupHead[]> {
  const all = await store.list();
  return all.filter(({ by }) => by === uidOf(run.replication));
}

function split(run: Run, heads: readonly BackupHead[]) {
  const keep = run.replication.spec.keep ?? keepDefault;
  const first = Math.max(0, heads.length - keep);
  const kept = heads.slice(first);
  const versions = new Set(kept.flatMap(({ volumes }) => volumes.map(({ version }) => version)));
  return { old: heads.slice(0, first), kept, versions };
}

/** Also what runs that failed have saved: without a backup nobody finds it. */
const keepBackups: Step<Run> = {
  name: 'keepBackups',
  description: 'Forgets old backups, and what belongs to none.',
  deadlineMs: 30 * minuteMs,
  observe: async (run) => {
    const { old, kept, versions } = split(run, await ownBackups(run, await storeOf(run)));
    const left = [...(await savedOf(run)).keys()].filter((name) => !versions.has(name));
    run.set({ backups: kept.map(shown), ...reportOf(run, kept) });
    return { kind: old.length + left.length === 0 ? 'done' : 'notStarted' };
  },
  ensure: async (run) => {
    const store = await storeOf(run);
    const { old, versions } = split(run, await ownBackups(run, store));
    // First the backup: one that is there is whole.
    for (const { name } of old) await store.forget(name);
    await forgetVersions(run, (name) => versions.has(name));
  },
};

function reportOf(
  run: Run,
  kept: readonly BackupHead[],
): Pick<Parameters<Run['set']>[0], 'report'> {
  const mine = kept.find(({ name }) => name === backupName(run));
  if (mine === undefined) return {};
  const { volumes, bytes, addedBytes } = shown(mine);
  const known = run.replication.status?.report ?? {};
  return { report: { ...known, volumes, bytes, wireBytes: addedBytes } };
}

export const backupSteps: readonly Step<Run>[] = [
  knowRepository('source'),
  saveVolumes,
  saveObjects,
  keepBackups,
];

/** All of it goes, with the replication. What is still there, in words; undefined: nothing. */
export async function removeBackups(run: Run): Promise<string | undefined> {
  const { context, replication } = run;
  const { repository: name = '' } = replication.spec;
  if (context.informers.repositories.get({ namespace: '', name }) === undefined) {
    run.warn(`Repository ${name} is not known any more: what is saved there stays.`);
  } else {
    const store = await storeOf(run);
    for (const one of await ownBackups(run, store)) await store.forget(one.name);
  }
  const left = await forgetVersions(run, () => false);
  return left.length === 0 ? undefined : `these are being deleted: ${shortList(left)}`;
}
