/**
 * A machine of its own, as far as a node is concerned: namespaces for processes, mounts and the
 * network. Its programs find their usual places (/var/lib/kubelet, /run/containerd), and all of it
 * goes when its first process is killed: nothing has to be stopped in order.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Watchdog } from '../../kubernetes/control-plane/watchdog.ts';
import { clearControlGroups, controlGroupOf, makeControlGroups } from './control-groups.ts';

const run = promisify(execFile);
const readyMs = 20_000;
const pollMs = 20;
const outputBytesMax = 64 * 1024 * 1024;

/** Everything that programs of a node keep; `/run` is in memory, as elsewhere. */
const ownDirectories = { 'var-lib': '/var/lib', 'var-log': '/var/log' } as const;

/** Runs as the first process: makes the places, says so, and reaps whoever is left to it. */
const firstProcess = `set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
for pair in ${Object.entries(ownDirectories)
  .map((pair) => pair.join(':'))
  .join(' ')}; do
  mount --bind "$1/\${pair%%:*}" "\${pair#*:}"
done
mkdir -p /var/lib/kubelet /var/lib/cni /run/cni
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
: >"$1/ready"
while sleep 1000; do :; done`;

export interface MachineOptions {
  readonly name: string;
  /** One of its own for each machine: of its addresses. 1 to 15. */
  readonly number: number;
  readonly directory: string;
  readonly watchdog: Watchdog;
}

export interface Machine {
  readonly name: string;
  readonly number: number;
  readonly directory: string;
  /** Of its first process, as this machine counts. */
  readonly pid: number;
  readonly address: string;
  /** Where it finds this host. */
  readonly hostAddress: string;
  /** Of its pods: the first three numbers. */
  readonly podNet: string;
  readonly controlGroup: string;
  /** The command that runs a program in there. */
  inside(program: string, args: readonly string[]): readonly [string, readonly string[]];
  /** Its standard output. Rejects with what it said if it failed. */
  run(program: string, ...args: readonly string[]): Promise<string>;
  /** Ends every process in there and removes what the kernel keeps of it. */
  stop(): Promise<void>;
}

export async function startMachine(options: MachineOptions): Promise<Machine> {
  const { name, number, directory, watchdog } = options;
  for (const one of Object.keys(ownDirectories)) {
    mkdirSync(join(directory, one), { recursive: true });
  }
  const holder = startFirstProcess(directory);
  const ended = new Promise<void>((resolve) => void holder.once('exit', () => resolve()));
  const pid = await firstPid(holder, directory);
  watchdog.watch(pid);
  const controlGroup = controlGroupOf(name);
  const inside: Machine['inside'] = (program, args) => [
    'nsenter',
    ['--target', String(pid), '--mount', '--net', '--pid', '--', program, ...args],
  ];
  const machine: Machine = {
    name,
    number,
    directory,
    pid,
    address: `10.231.${number}.2`,
    hostAddress: `10.231.${number}.1`,
    podNet: `10.231.${100 + number}`,
    controlGroup,
    inside,
    run: async (program, ...args) => {
      const [command, words] = inside(program, args);
      return (await run(command, words, { maxBuffer: outputBytesMax })).stdout;
    },
    stop: async () => {
      await letLoopsGo(machine).catch(() => undefined);
      if (holder.exitCode === null && holder.signalCode === null) process.kill(pid, 'SIGKILL');
      await ended;
      watchdog.forget(pid);
      await clearControlGroups(controlGroup);
    },
  };
  await makeControlGroups(controlGroup);
  await connectToHost(machine);
  return machine;
}

function startFirstProcess(directory: string): ChildProcess {
  const namespaces = ['--mount', '--propagation', 'private', '--net', '--pid', '--fork'];
  const words = [...namespaces, '--mount-proc', '--kill-child'];
  return spawn('unshare', [...words, 'sh', '-c', firstProcess, 'sh', directory], {
    stdio: 'ignore',
  });
}

async function firstPid({ pid, exitCode }: ChildProcess, directory: string): Promise<number> {
  const deadline = performance.now() + readyMs;
  while (!existsSync(join(directory, 'ready'))) {
    if (exitCode !== null || performance.now() > deadline) {
      throw new Error('no namespaces for a machine');
    }
    await sleep(pollMs);
  }
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}

/** A pair of devices; it goes with the machine's network. */
async function connectToHost(machine: Machine): Promise<void> {
  const { number, pid, address, hostAddress, podNet } = machine;
  const [here, there] = [`tse${number}h`, `tse${number}n`];
  await run('ip', ['link', 'add', here, 'type', 'veth', 'peer', 'name', there]);
  await run('ip', ['link', 'set', there, 'netns', String(pid)]);
  await run('ip', ['addr', 'add', `${hostAddress}/24`, 'dev', here]);
  await run('ip', ['link', 'set', here, 'up']);
  await machine.run('ip', 'addr', 'add', `${address}/24`, 'dev', there);
  await machine.run('ip', 'link', 'set', there, 'up');
  await machine.run('ip', 'route', 'add', 'default', 'via', hostAddress);
  await run('ip', ['route', 'add', `${podNet}.0/24`, 'via', address]);
}

/** A way between two machines, nodes and pods, that does not lead through this host. */
export async function connectMachines(one: Machine, other: Machine): Promise<void> {
  const ends = [`tse${one.number}x${other.number}`, `tse${other.number}x${one.number}`] as const;
  await run('ip', ['link', 'add', ends[0], 'type', 'veth', 'peer', 'name', ends[1]]);
  // A network of its own for each pair; numbers are below 16.
  const net = `10.231.${200 + one.number + other.number}`;
  const links = [
    { machine: one, far: other, device: ends[0], own: `${net}.1`, via: `${net}.2` },
    { machine: other, far: one, device: ends[1], own: `${net}.2`, via: `${net}.1` },
  ];
  for (const { machine, device, own } of links) {
    await run('ip', ['link', 'set', device, 'netns', String(machine.pid)]);
    await machine.run('ip', 'addr', 'add', `${own}/30`, 'dev', device);
    await machine.run('ip', 'link', 'set', device, 'up');
  }
  for (const { machine, far, via } of links) {
    await machine.run('ip', 'route', 'add', `${far.address}/32`, 'via', via);
    await machine.run('ip', 'route', 'add', `${far.podNet}.0/24`, 'via', via);
  }
}

/** Loop devices belong to the kernel, not to the machine: they are let go with their last mount. */
async function letLoopsGo(machine: Machine): Promise<void> {
  const text = await machine.run('losetup', '--list', '--noheadings', '--output', 'NAME,BACK-FILE');
  for (const line of text.split('\n')) {
    const [device = '', file = ''] = line.trim().split(/\s+/);
    const isOurs = file.startsWith('/var/lib/transship/') && existsSync(within(machine, file));
    if (isOurs) await machine.run('losetup', '--detach', device);
  }
}

/** Other machines have the same paths: only what is a mount of this one is this one's. */
function within(machine: Machine, file: string): string {
  return join('/proc', String(machine.pid), 'root', file);
}
