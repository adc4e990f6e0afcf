/** The steps that are only of what is restored: its volumes are opened, and then they fill. */
import type { BackupHead, BackupVolume } from './content.ts';
import type { Observation, Step } from '../../../flow/flow.ts';
import { shortList } from '../../migration/steps/sentences.ts';
import { conditionOf, isTrue } from '../../status.ts';
import { hasVolumes, type ReplicationRun } from '../as-plan.ts';
import { claimThere, claimVolume, isMadeFor, keyThere, openVolume, volumeOf } from './restored.ts';
import { knowRepository, storeOf } from './save-steps.ts';

type Run = ReplicationRun;

const minuteMs = 60_000;

/** `NotFound` when it was forgotten meanwhile. */
async function headOf(run: Run): Promise<BackupHead> {
  return (await storeOf(run)).find(run.replication.status?.restored);
}

/** In the namespaces that are asked for. */
function volumesOf(run: Run, { volumes }: BackupHead): readonly BackupVolume[] {
  const wanted = new Set(run.replication.spec.namespaces.map(({ name }) => name));
  return volumes.filter(({ namespace }) => wanted.has(namespace));
}

/** What is there and was not made for it stays, which a person has been told. */
async function isOthers(run: Run, saved: BackupVolume): Promise<boolean> {
  const claim = await claimThere(run, saved);
  if (claim === undefined || isMadeFor(run, claim)) return false;
  const { namespace, name } = keyThere(run, saved);
  run.warn(`Claim ${namespace}/${name} was there: it stays, and its data is not restored.`);
  return true;
}

const openVolumes: Step<Run> = {
  name: 'openVolumes',
  description: 'Opens the saved volumes and makes claims on them.',
  deadlineMs: 30 * minuteMs,
  isNeeded: async ({ replication }) => hasVolumes(replication),
  observe: async (run): Promise<Observation> => {
    const coming: string[] = [];
    for (const saved of volumesOf(run, await headOf(run))) {
      const claim = await claimThere(run, saved);
      if (claim?.status?.phase === 'Bound' && isMadeFor(run, claim)) continue;
      if (await isOthers(run, saved)) continue;
      const volume = await volumeOf(run, saved);
      if (volume === undefined) return { kind: 'notStarted' };
      if (isTrue(volume, 'Ready') && claim === undefined) return { kind: 'notStarted' };
      const ready = conditionOf(volume, 'Ready');
      const what = claim === undefined ? ready?.message : 'its claim is being bound';
      coming.push(`${saved.namespace}/${saved.claim}: ${what ?? 'it is to be opened'}`);
    }
    if (coming.length === 0) return { kind: 'done' };
    return { kind: 'running', message: shortList(coming) };
  },
  ensure: async (run) => {
    const head = await headOf(run);
    for (const saved of volumesOf(run, head)) {
      if (await isOthers(run, saved)) continue;
      const volume = await volumeOf(run, saved);
      if (volume === undefined) await openVolume(run, saved, head.cluster);
      else if (isTrue(volume, 'Ready')) await claimVolume(run, saved, volume);
    }
  },
};

/** Until then they need the repository, and the backup must not be forgotten. */
const fillRestored: Step<Run> = {
  name: 'fillRestored',
  description: 'Waits until all data of the volumes has come out of the repository.',
  deadlineMs: 60 * minuteMs,
  isNeeded: async ({ replication }) => hasVolumes(replication),
  observe: async (run) => {
    const wanted = volumesOf(run, await headOf(run));
    let [bytes, wireBytes, count, percents] = [0, 0, 0, 0];
    const coming: string[] = [];
    for (const saved of wanted) {
      const volume = await volumeOf(run, saved);
      if (volume === undefined) continue;
      count += 1;
      bytes += volume.status?.sizeBytes ?? 0;
      wireBytes += volume.status?.teleport?.wireBytes ?? 0;
      const isWhole = isTrue(volume, 'Complete');
      percents += isWhole ? 100 : (volume.status?.teleport?.percent ?? 0);
      if (!isWhole) coming.push(`${saved.namespace}/${saved.claim}`);
    }
    const known = run.replication.status?.report ?? {};
    run.set({ report: { ...known, volumes: count, bytes, wireBytes } });
    if (coming.length === 0) return { kind: 'done' };
    const percent = Math.floor(percents / Math.max(1, count));
    return { kind: 'running', message: `these fill: ${shortList(coming)}`, percent };
  },
  ensure: async () => undefined,
};

export const restoreSteps: readonly Step<Run>[] = [
  knowRepository('destination'),
  openVolumes,
  fillRestored,
];
