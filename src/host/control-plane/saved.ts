/** What a control plane remembers from one start to the next. */
import * as fs from 'node:fs';
import { fail } from '../../base/errors.ts';
import { writePrivate } from '../private-file.ts';
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
  try {
    return JSON.parse(fs.readFileSync(paths.settings, 'utf8')) as Saved;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    return fail('BadArgument', `${paths.settings} is damaged; correct or remove it`, error);
  }
}
