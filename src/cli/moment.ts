/** `--at` and `--snapshot`: a moment of a volume's past. */
import { fail } from '../base/errors.ts';
import { parseMoment } from '../base/units.ts';
import { given } from './command.ts';
import type { Cli } from './context.ts';

export interface MomentOptions {
  readonly at?: string;
  readonly snapshot?: string;
}

/** `--at` and `--snapshot` as request fields; both at once is a mistake. */
export function momentOf(cli: Cli, options: MomentOptions): { atMs?: number; snapshot?: string } {
  if (options.at !== undefined && options.snapshot !== undefined) {
    fail('BadArgument', '--at and --snapshot both name a moment; give one of them');
  }
  return {
    ...given('atMs', options.at === undefined ? undefined : parseMoment(options.at, cli.nowMs())),
    ...given('snapshot', options.snapshot),
  };
}
