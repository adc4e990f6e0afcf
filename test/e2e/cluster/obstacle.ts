/** What keeps this machine from having nodes. */
import { existsSync } from 'node:fs';
import { findProgram } from '../../../tools/image/programs.ts';
import { obstacleTo } from '../../../tools/image/build.ts';
import { obstacleToImages, ourImages } from '../images.ts';

const needed = ['containerd', 'runc', 'ctr', 'iptables', 'ip', 'unshare', 'nsenter', 'losetup'];
const files: Readonly<Record<string, string>> = {
  '/usr/lib/cni/bridge': 'no containernetworking-plugins',
  '/dev/fuse': 'no /dev/fuse',
  '/dev/loop-control': 'no loop devices',
  '/sys/fs/cgroup/cpuset/cpuset.cpus': 'no control groups of version 1 to make some in',
};

/** Undefined when it can. */
export function obstacleToMachine(): string | undefined {
  if (process.platform !== 'linux') return 'nodes need Linux';
  if (process.getuid?.() !== 0) return 'nodes need root';
  const absent = needed.filter((name) => findProgram(name) === undefined);
  if (absent.length > 0) return `not installed: ${absent.join(', ')}`;
  const file = Object.keys(files).find((path) => !existsSync(path));
  if (file !== undefined) return files[file];
  return obstacleToImages() ?? obstacleTo(ourImages);
}
