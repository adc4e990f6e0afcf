/**
 * The configuration of the rsync daemon (rsyncd.conf(5)). It has no port: stunnel starts one
 * daemon process for each authenticated connection, so nobody on the host gets around TLS.
 */
import type { MoverModule } from './mover-config.ts';

/** Where a client puts a request for an audit, and finds its answer. */
export const controlModules = { requests: 'transship-requests', answers: 'transship-answers' };

export interface RsyncdOptions {
  readonly modules: readonly MoverModule[];
  readonly requestsPath: string;
  readonly answersPath: string;
  readonly locksPath: string;
  readonly logPath: string;
  /** The process is root and may chroot. */
  readonly chroot: boolean;
  readonly root: boolean;
}

/** What rsync puts before the target of a link that it munges. */
export const mungedPrefix = '/rsyncd-munged/';

/**
 * An application must find its symbolic links as it wrote them. As root the daemon is confined by
 * chroot, so no link leads out of its volume, and links are stored as they are. Without the right
 * to chroot the daemon would cut the beginning of absolute targets; so it munges them: while data
 * comes no link leads anywhere, and the server takes the prefix off before the closing audit.
 *
 * One connection to a volume at a time: a receiver of an attempt that was cut, and does not know
 * it yet, would else move its partial file over a finished one.
 */
export function rsyncdText(options: RsyncdOptions): string {
  const { modules, locksPath, root, chroot } = options;
  const lines = [
    ...(root ? ['uid = 0', 'gid = 0'] : []),
    'numeric ids = yes',
    `munge symlinks = ${chroot ? 'no' : 'yes'}`,
    'reverse lookup = no',
    'list = no',
    `log file = ${options.logPath}`,
    `use chroot = ${chroot ? 'yes' : 'no'}`,
  ];
  for (const { name, path, readOnly = false } of modules) {
    lines.push(
      `[${name}]`,
      `path = ${path}`,
      `read only = ${readOnly ? 'yes' : 'no'}`,
      'max connections = 1',
      `lock file = ${locksPath}/${name}.lock`,
    );
  }
  lines.push(`[${controlModules.requests}]`, `path = ${options.requestsPath}`);
  lines.push('read only = no', 'write only = yes');
  lines.push(`[${controlModules.answers}]`, `path = ${options.answersPath}`, 'read only = yes');
  return `${lines.join('\n')}\n`;
}
