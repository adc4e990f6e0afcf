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

/**
 * Symbolic links are stored as they are (`munge symlinks = no`), for an application must find what
 * it wrote. As root the daemon is confined by chroot, so no link leads out of its volume. Without
 * the right to chroot a link could lead out as far as the user of the process may go: its pod has
 * no files but its volumes, and the embedded cluster's process runs as the person who started it.
 *
 * One connection to a volume at a time: a receiver of an attempt that was cut, and does not know
 * it yet, would else move its partial file over a finished one.
 */
export function rsyncdText(options: RsyncdOptions): string {
  const { modules, locksPath, root, chroot } = options;
  const lines = [
    ...(root ? ['uid = 0', 'gid = 0'] : []),
    'numeric ids = yes',
    'munge symlinks = no',
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
