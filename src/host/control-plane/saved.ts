/** What a control plane remembers from one start to the next. */
import { readRemembered, writePrivate } from '../private-file.ts';
import type { PlanePaths } from './paths.ts';

/** Ports that others remember. */
export interface Saved {
  readonly apiPort?: number;
  readonly metricsPort?: number;
}

export function save(paths: PlanePaths, news: Saved): void {
  writePrivate(paths.settings, JSON.stringify({ ...readSaved(paths), ...news }));
}

/** `BadArgument` when the file is damaged. */
export function readSaved(paths: PlanePaths): Saved {
  return readRemembered<Saved>(paths.settings);
}
