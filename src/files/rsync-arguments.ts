/** The words of an rsync command line (rsync(1)). */
import { type MoverClientConfig, timeoutSecondsDefault } from './mover-config.ts';

/** At the root of ext4 volumes; a directory of this name deeper down is the user's. */
export const alwaysExcluded: readonly string[] = ['/lost+found'];

export interface RsyncIdentity {
  readonly root: boolean;
}

/**
 * `--partial` keeps what a cut attempt received under the file's own name, and the next one sends
 * the difference to it; what is left over is removed by `--delete` as any stranger is. `--inplace`
 * is not the default: a file that was linked at the destination and no longer is at the source
 * would be written through its other name, and a large file is unusable while it changes. It is
 * for volumes with no room for a second copy of their largest file, and goes with `--sparse`.
 *
 * Who is not root can set no times on directories of others, such as a volume's own.
 */
export function rsyncArguments(config: MoverClientConfig, { root }: RsyncIdentity): string[] {
  const { bytesPerSecond, timeoutSeconds = timeoutSecondsDefault, excludes = [] } = config;
  const words = ['--archive', '--hard-links', '--acls', '--xattrs', '--sparse', '--numeric-ids'];
  words.push('--delete', '--partial', '--info=progress2,stats2', '--no-human-readable');
  words.push(`--timeout=${timeoutSeconds}`);
  words.push(...[...alwaysExcluded, ...excludes].map((path) => `--exclude=${path}`));
  if (bytesPerSecond !== undefined) {
    words.push(`--bwlimit=${Math.max(1, Math.floor(bytesPerSecond / 1024))}`);
  }
  if (config.verify === true) words.push('--checksum');
  if (config.inPlace === true) words.push('--inplace');
  if (config.ownership === 'Mover') words.push('--no-owner', '--no-group');
  if (!root) words.push('--omit-dir-times');
  words.push('--', `${config.source.replace(/\/+$/, '')}/`, moduleUrl(config.module, ''));
  return words;
}

/** The host means nothing: rsync is connected by its tunnel. */
export function moduleUrl(module: string, path: string): string {
  return `rsync://mover/${module}/${path}`;
}
