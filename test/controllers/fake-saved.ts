// What fake agents answer of repositories: nothing is stored.
import {
  apiVersion,
  type JobObject,
  type RepositoryObject,
  type SavedVersionObject,
} from '../../src/api/objects.ts';

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
