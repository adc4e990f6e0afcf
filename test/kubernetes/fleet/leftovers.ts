/** What a fleet could leave on this machine, whatever went wrong in it. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { cronJobs, jobs } from '../../../src/kube/jobs.ts';
import { keyOf } from '../../../src/kube/objects.ts';
import { deployments, statefulSets } from '../../../src/kube/workloads.ts';
import { signal, until } from '../../interop/cloud.ts';
import { mountsBelow } from '../../interop/tools.ts';
import type { Member } from './member.ts';

const endMs = 30_000;

/** Every pod, and who would make it again: a volume is unmounted once its pods are gone. */
export async function endPods({ client, name }: Member): Promise<void> {
  for (const type of [cronJobs, jobs, deployments, statefulSets]) {
    for await (const one of client.list(type as typeof jobs)) {
      await client.delete(type as typeof jobs, keyOf(one), { propagation: 'Background' });
    }
  }
  const isEmpty = async (): Promise<boolean> => {
    let left = 0;
    for await (const pod of client.list(pods)) {
      left += 1;
      if (pod.metadata.deletionTimestamp === undefined) await client.delete(pods, keyOf(pod));
    }
    return left === 0;
  };
  await until(`the pods of ${name} to end`, isEmpty, endMs);
}

/** Processes of this home, which is of this run alone, and what is mounted below it. */
export async function release(home: string): Promise<readonly string[]> {
  const left: string[] = [];
  for (const path of mountsBelow(`${home}/`).toReversed()) {
    left.push(`a mount at ${path}`);
    spawnSync('umount', ['-l', path]);
  }
  for (const { pid, words } of processesOf(home)) {
    left.push(`process ${pid}: ${words.slice(0, 200)}`);
    if (signal(pid, 'SIGKILL')) await until(`process ${pid} to end`, () => !signal(pid, 0));
  }
  return left;
}

interface Found {
  readonly pid: number;
  readonly words: string;
}

function processesOf(home: string): readonly Found[] {
  const found: Found[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const isOurs = (text: string): boolean => text.includes(`${home}/`);
      if (isOurs(words) || isOurs(readFileSync(`/proc/${pid}/environ`, 'utf8'))) {
        found.push({ pid, words });
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
