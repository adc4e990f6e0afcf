/** What of this host helps or hinders, for `transship doctor`. */
import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import type { Finding } from '../api/objects.ts';

const run = promisify(execFile);

interface Tool {
  readonly program: string;
  readonly args: readonly string[];
  readonly for: string;
  readonly remedy: string;
}

const tools: readonly Tool[] = [
  {
    program: 'qemu-nbd',
    args: ['--version'],
    for: 'importing and exporting qcow2 and other formats',
    remedy: 'Install qemu-utils (Debian) or qemu-img (Fedora).',
  },
  {
    program: 'nbdfuse',
    args: ['--version'],
    for: 'attaching volumes where the kernel has no NBD client',
    remedy: 'Install nbdfuse or libnbd-bin.',
  },
  {
    program: 'mkfs.ext4',
    args: ['-V'],
    for: 'attach --format ext4',
    remedy: 'Install e2fsprogs.',
  },
];

/** Never fails: what cannot be found out is a warning. */
export async function hostFindings(home: string): Promise<readonly Finding[]> {
  const found = await Promise.all(tools.map(toolFinding));
  return [nodeFinding(), homeFinding(home), deviceFinding(), ...found];
}

function nodeFinding(): Finding {
  const major = Number.parseInt(process.versions.node, 10);
  if (major >= 24) return { check: 'Node.js', result: 'Passed', message: process.version };
  const remedy = 'Run npm ci, which brings Node.js 24.';
  return { check: 'Node.js', result: 'Failed', message: `${process.version} is too old`, remedy };
}

function homeFinding(home: string): Finding {
  try {
    fs.mkdirSync(home, { recursive: true, mode: 0o700 });
    fs.accessSync(home, fs.constants.W_OK);
  } catch (error) {
    const remedy = 'Set TRANSSHIP_HOME to a directory that you may write to.';
    return { check: 'home', result: 'Failed', message: (error as Error).message, remedy };
  }
  if ((fs.statSync(home).mode & 0o022) !== 0) {
    const remedy = `Run: chmod go-w ${home}`;
    return { check: 'home', result: 'Warning', message: `others can write to ${home}`, remedy };
  }
  // A socket's path has 107 bytes; the longest of ours below the home has 43 and a name.
  const long = Buffer.byteLength(home) > 50;
  if (!long) return { check: 'home', result: 'Passed', message: home };
  const remedy = 'Set TRANSSHIP_HOME to a shorter path when an agent cannot make its socket.';
  return { check: 'home', result: 'Warning', message: `${home} is long`, remedy };
}

function deviceFinding(): Finding {
  const root = process.getuid?.() === 0;
  const way = fs.existsSync('/dev/nbd0') ? 'the kernel' : 'FUSE';
  const there = way === 'the kernel' || fs.existsSync('/dev/fuse');
  if (root && there) return { check: 'attach', result: 'Passed', message: `through ${way}` };
  const remedy = 'Attach as root on a host with /dev/nbd0 or /dev/fuse; NBD addresses work anyway.';
  const message = root ? 'neither /dev/nbd0 nor /dev/fuse is here' : 'attaching needs root';
  return { check: 'attach', result: 'Warning', message, remedy };
}

async function toolFinding(tool: Tool): Promise<Finding> {
  try {
    const { stdout, stderr } = await run(tool.program, [...tool.args]);
    const [version = ''] = (stdout || stderr).trim().split('\n');
    return { check: tool.program, result: 'Passed', message: version };
  } catch {
    const message = `not found; needed for ${tool.for}`;
    return { check: tool.program, result: 'Warning', message, remedy: tool.remedy };
  }
}
