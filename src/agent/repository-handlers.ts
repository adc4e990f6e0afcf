/** Answers to the `repository.*` operations. */
import type { RequestOf } from '../api/control.ts';
import {
  apiVersion,
  type BackupPartObject,
  type Finding,
  listOf,
  type ReportObject,
  type RepositoryObject,
  type SavedVersionObject,
} from '../api/objects.ts';
import { asTransshipError, fail } from '../base/errors.ts';
import { checkName } from '../base/names.ts';
import { formatBytes, formatMoment } from '../base/units.ts';
import {
  type BackupPart,
  forgetBackup,
  listBackups,
  putBackupPart,
  readBackupPart,
} from '../peer/repository/backups.ts';
import type { SavedVersion } from '../peer/repository/documents.ts';
import { pruneRepository } from '../peer/repository/prune.ts';
import { saveVersion } from '../peer/repository/save.ts';
import { verifyRepository, type VerifyReport } from '../peer/repository/verify.ts';
import { nameHex } from '../volume/name.ts';
import { createInlinePacker } from '../volume/pack.ts';
import type { JobControl, JobResult } from './jobs.ts';
import type { AgentParts, HandlersOf } from './parts.ts';

export function repositoryHandlers(parts: AgentParts): HandlersOf<'repository'> {
  const { repositories, teleports, jobs, info } = parts;
  const { cluster } = info;
  return {
    'repository.add': async (request) => repositories.add(request),
    'repository.remove': async ({ name }) => {
      const needed = teleports.dependingOn(`repository:${name}`);
      if (needed.length > 0) {
        fail('InUse', `repository ${name} still has data of teleport ${needed.join(', ')}`);
      }
      return repositories.remove(name);
    },
    'repository.list': async () => listOf<RepositoryObject>('Repository', repositories.list()),
    'repository.show': async ({ name }) => ({
      ...repositories.view(name),
      status: await countsOf(parts, name),
    }),
    'repository.versions': async ({ name, volume }) => {
      const repository = await repositories.open(name);
      const all = await repository.versions(() => undefined);
      const wanted = all.filter((one) => volume === undefined || one.volume === volume);
      const views = wanted.map((one) => versionView(name, cluster, one));
      return listOf<SavedVersionObject>('SavedVersion', views);
    },
    'repository.save': async (request, { emit, signal }) => {
      parts.pools.locate(request.volume);
      repositories.view(request.name);
      const job = jobs.start({ type: 'Save', target: request.volume }, (control) =>
        save(parts, request, control),
      );
      return jobs.watch(job.metadata.name, emit, signal);
    },
    'repository.forget': async ({ name, volume, version }) => {
      const repository = await repositories.open(name);
      return versionView(name, cluster, await repository.forget(volume, version));
    },
    ...backupHandlers(parts),
    'repository.prune': async ({ name }, { emit, signal }) => {
      repositories.view(name);
      const job = jobs.start({ type: 'Prune', target: name }, async (control) => {
        const repository = await repositories.open(name, { waits: true });
        const { signal: ending, progress: onProgress } = control;
        const options = { holder: cluster, signal: ending, onProgress };
        return { ...(await pruneRepository(repository, options)) };
      });
      return jobs.watch(job.metadata.name, emit, signal);
    },
    // Ends with its watcher: it changes nothing, and nobody else would read its report.
    'repository.verify': async ({ name, deep = false }, { emit, signal }) => {
      const view = jobs.describe({ type: 'Verify', target: name });
      const repository = await repositories.open(name, { waits: true });
      const report = await verifyRepository(repository, {
        deep,
        packer: createInlinePacker(),
        signal,
        onProgress: (doneBytes, totalBytes) => {
          emit({ ...view, status: { ...view.status, doneBytes, totalBytes } });
        },
      });
      return reportView(name, cluster, { report, deep });
    },
  };
}

type BackupOperations = `repository.${'put-backup' | 'read-backup' | 'backups' | 'forget-backup'}`;

function backupHandlers({
  repositories,
  info: { cluster },
}: AgentParts): Pick<HandlersOf<'repository'>, BackupOperations> {
  const viewOf = (repository: string, one: BackupPart): BackupPartObject => ({
    kind: 'BackupPart',
    apiVersion,
    metadata: { name: `${one.name}/${one.part}`, cluster },
    spec: { repository, backup: one.name, part: one.part, content: one.content },
    status: { savedBy: one.cluster, savedTime: formatMoment(one.savedMs) },
  });
  return {
    'repository.put-backup': async ({ name, backup, part, parts = 0, content }) => {
      const repository = await repositories.open(name, { create: true });
      const named = { name: checkName(backup, 'backup'), part, parts, cluster, content };
      return viewOf(name, await putBackupPart(repository, named));
    },
    'repository.read-backup': async ({ name, backup, part }) => {
      const repository = await repositories.open(name);
      return viewOf(name, await readBackupPart(repository, backup, part));
    },
    'repository.backups': async ({ name }) => {
      const found = await listBackups(await repositories.open(name));
      const views = found.map((one) => viewOf(name, one));
      return listOf<BackupPartObject>('BackupPart', views);
    },
    'repository.forget-backup': async ({ name, backup }) => {
      await forgetBackup(await repositories.open(name), backup);
      return {};
    },
  };
}

async function save(
  parts: AgentParts,
  request: RequestOf<'repository.save'>,
  { signal, progress }: JobControl,
): Promise<JobResult> {
  const { repositories, pools, info, events, ports } = parts;
  const { name, volume, atMs, snapshot, bytesPerSecond } = request;
  const version = checkName(request.version ?? versionName(ports.clock.wallMs()), 'version');
  const { pool } = await pools.whole(volume);
  const repository = await repositories.open(name, { create: true, waits: true });
  const saved = await saveVersion(repository, {
    pool: pool.api,
    volume,
    name: version,
    cluster: info.cluster,
    signal,
    onProgress: ({ doneBytes, totalBytes }) => progress(doneBytes, totalBytes),
    ...(atMs === undefined ? {} : { atMs }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  });
  const note = `volume ${volume} is saved in repository ${name} as version ${version}`;
  events.add({ type: 'Information', reason: 'Saved', kind: 'Volume', name: volume, note });
  return {
    version,
    root: nameHex(saved.root),
    sizeBytes: saved.sizeBytes,
    allocatedBytes: saved.allocatedBlocks * saved.blockBytes,
    addedBytes: saved.addedBytes,
  };
}

/** A name that sorts by time. */
function versionName(wallMs: number): string {
  return formatMoment(wallMs)
    .toLowerCase()
    .replaceAll(/[^0-9tz]/g, '-');
}

async function countsOf(
  { repositories }: AgentParts,
  name: string,
): Promise<NonNullable<RepositoryObject['status']>> {
  try {
    const repository = await repositories.open(name);
    const { chunks, packs } = await repository.reload();
    const versions = await repository.versions(() => undefined);
    return {
      versions: versions.length,
      chunks,
      storedBytes: packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      logicalBytes: versions.reduce((sum, one) => sum + one.allocatedBlocks * one.blockBytes, 0),
    };
  } catch (error) {
    // The place is there; nothing was saved in it yet.
    if (asTransshipError(error).reason !== 'NotFound') throw error;
    return { versions: 0, chunks: 0, storedBytes: 0, logicalBytes: 0 };
  }
}

function versionView(repository: string, cluster: string, saved: SavedVersion): SavedVersionObject {
  const { volume, name: version, sizeBytes, blockBytes, allocatedBlocks, addedBytes } = saved;
  return {
    kind: 'SavedVersion',
    apiVersion,
    metadata: { name: `${volume}/${version}`, cluster },
    spec: { repository, volume, version },
    status: {
      sizeBytes,
      allocatedBytes: allocatedBlocks * blockBytes,
      addedBytes,
      root: nameHex(saved.root),
      savedBy: saved.cluster,
      time: formatMoment(saved.atMs),
      savedTime: formatMoment(saved.savedMs),
    },
  };
}

function reportView(
  name: string,
  cluster: string,
  { report, deep }: { readonly report: VerifyReport; readonly deep: boolean },
): ReportObject {
  const findings: Finding[] = report.versions.map(({ version, badChunks }) => {
    const check = `version ${version.name} of volume ${version.volume}`;
    const bytes = formatBytes(version.allocatedBlocks * version.blockBytes);
    const how = deep ? 'every chunk was read' : 'every chunk is listed, and its pack is there';
    if (badChunks === 0) return { check, result: 'Passed', message: `${bytes}; ${how}` };
    const message = `${badChunks} chunks are missing or damaged`;
    return { check, result: 'Failed', message, remedy: 'Save the volume there again.' };
  });
  for (const { name: backup, parts, badParts } of report.backups) {
    const check = `backup ${backup}`;
    const all = `${parts} parts beside the first`;
    if (badParts === 0)
      findings.push({ check, result: 'Passed', message: `${all}; all were read` });
    else {
      const message = `${badParts} of ${all} are missing or damaged`;
      const remedy = 'Let its replication run again; older backups may be whole.';
      findings.push({ check, result: 'Failed', message, remedy });
    }
  }
  for (const object of [...report.damagedVersions, ...report.damagedBackups]) {
    const remedy = 'Delete that object.';
    findings.push({ check: object, result: 'Failed', message: 'it cannot be read', remedy });
  }
  for (const object of report.missingPacks) {
    findings.push({ check: object, result: 'Failed', message: 'the pack is gone or cut off' });
  }
  const passed = findings.every(({ result }) => result === 'Passed');
  return { kind: 'Report', apiVersion, metadata: { name, cluster }, passed, findings };
}
