/** Runs programs of the system. Their names are looked up where distributions put them. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { TransshipError, fail } from '../base/errors.ts';

/** An ordinary user's PATH often lacks the sbin directories, where half of these tools live. */
const directories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];
const outputBytesMax = 1024 * 1024;
const toolMs = 120_000;

/** The Debian package of each tool we call. */
const packages = {
  blkid: 'util-linux',
  losetup: 'mount',
  mount: 'mount',
  umount: 'mount',
  'mkfs.ext4': 'e2fsprogs',
  'mkfs.xfs': 'xfsprogs',
  resize2fs: 'e2fsprogs',
  xfs_growfs: 'xfsprogs',
  blockdev: 'util-linux',
  'nbd-client': 'nbd-client',
  nbdfuse: 'libnbd-bin',
  rsync: 'rsync',
  stunnel: 'stunnel4',
  'docker-registry': 'docker-registry',
  skopeo: 'skopeo',
} as const;

export type Tool = keyof typeof packages;

export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The path of a tool; `ToolMissing` names the package that has it. */
export function findTool(tool: Tool): string {
  for (const directory of directories) {
    const path = `${directory}/${tool}`;
    if (fs.existsSync(path)) return path;
  }
  return fail('ToolMissing', `${tool} is not installed: apt-get install ${packages[tool]}`);
}

/** Waits for the tool; an exit code other than 0 is a result, not an error. `TimedOut`. */
export function runTool(tool: Tool, ...parameters: readonly string[]): Promise<ToolResult> {
  const path = findTool(tool);
  return new Promise((resolve, reject) => {
    const options = { timeout: toolMs, maxBuffer: outputBytesMax, encoding: 'utf8' } as const;
    execFile(path, [...parameters], options, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr });
      if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr });
      const reason = error.killed === true ? 'TimedOut' : 'DiskFailed';
      return reject(new TransshipError(reason, `${path}: ${error.message}`, { cause: error }));
    });
  });
}

/** As `runTool`, and fails with `DiskFailed` and the tool's own words unless it succeeds. */
export async function mustRunTool(tool: Tool, ...parameters: readonly string[]): Promise<string> {
  const result = await runTool(tool, ...parameters);
  if (result.code !== 0) {
    const said = result.stderr.trim() || `exit code ${result.code}`;
    fail('DiskFailed', `${tool} ${parameters.join(' ')}: ${said}`);
  }
  return result.stdout;
}
