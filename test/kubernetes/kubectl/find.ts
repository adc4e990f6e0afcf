/** Where kubectl is: this machine's own, else the one that was built with the control plane. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { findBinaries } from '../../../tools/kubernetes/binaries.ts';

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function findKubectl(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const own = folders.map((folder) => join(folder, 'kubectl')).find(isProgram);
  if (own !== undefined) return own;
  const built = findBinaries(['kubectl']);
  return built.available ? built.path('kubectl') : undefined;
}
