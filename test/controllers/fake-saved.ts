// What fake agents answer of repositories: nothing is stored.
import type { RequestOf } from '../../src/api/control.ts';
import {
  apiVersion,
  type BackupPartObject,
  type JobObject,
  listOf,
  type RepositoryObject,
  type SavedVersionObject,
} from '../../src/api/objects.ts';
import { fail } from '../../src/base/errors.ts';

export function repositoryView(name: string): RepositoryObject {
  const spec = { place: 'somewhere' };
  return { kind: 'Repository', apiVersion, metadata: { name }, spec };
}

export function saveJob(
  volume: string,
  { sizeBytes, dataBytes }: { readonly sizeBytes: number; readonly dataBytes: number },
): JobObject {
  const result = { sizeBytes, allocatedBytes: dataBytes, addedBytes: dataBytes, root: 'f00d' };
  return {
    kind: 'Job',
    apiVersion,
    metadata: { name: `save-${volume}` },
    spec: { type: 'Save', target: volume },
    status: { phase: 'Succeeded', doneBytes: 1, totalBytes: 1, result },
  };
}

export function forgottenVersion(repository: string, version: string): SavedVersionObject {
  const time = '2026-01-01T00:00:00Z';
  const moments = { time, savedTime: time, savedBy: '', root: '' };
  return {
    kind: 'SavedVersion',
    apiVersion,
    metadata: { name: version },
    spec: { repository, volume: '', version },
    status: { sizeBytes: 0, allocatedBytes: 0, addedBytes: 0, ...moments },
  };
}

/** Backups in all repositories, part by part. */
export class FakeBackups {
  readonly parts = new Map<string, BackupPartObject>();

  handlers() {
    const { parts } = this;
    const keyOf = (name: string, backup: string, part: number) => `${name}/${backup}/${part}`;
    return {
      'repository.put-backup': (request: RequestOf<'repository.put-backup'>) => {
        const { name, backup, part, content } = request;
        const made: BackupPartObject = {
          kind: 'BackupPart',
          apiVersion,
          metadata: { name: `${backup}/${part}` },
          spec: { repository: name, backup, part, content },
          status: { savedBy: '', savedTime: '2026-01-01T00:00:00Z' },
        };
        parts.set(keyOf(name, backup, part), made);
        return made;
      },
      'repository.read-backup': (request: RequestOf<'repository.read-backup'>) => {
        const { name, backup, part } = request;
        const found = parts.get(keyOf(name, backup, part));
        return found ?? fail('NotFound', `no part ${part} of a backup ${backup}`);
      },
      'repository.backups': ({ name }: RequestOf<'repository.backups'>) => {
        const all = [...parts.values()];
        const heads = all.filter(({ spec }) => spec.repository === name && spec.part === 0);
        return listOf<BackupPartObject>('BackupPart', heads);
      },
      'repository.forget-backup': (request: RequestOf<'repository.forget-backup'>) => {
        const { name, backup } = request;
        for (const key of parts.keys()) {
          if (key.startsWith(keyOf(name, backup, 0).slice(0, -1))) parts.delete(key);
        }
        return {};
      },
    };
  }
}
