/** Pods are put on other nodes than that of their volume's data. */
import assert from 'node:assert/strict';
import { claim, databasePod, rowsOf, written } from './database.ts';
import type { Member } from './member.ts';
import type { Report } from './report.ts';
import type { World } from './world.ts';

const namespace = 'roaming';
/** As the stories of replicas name it, after which this one comes; else it is made here. */
const number = 3;

interface PodObject {
  readonly spec: object;
}

async function startOn(east: Member, node: string): Promise<void> {
  const pod = databasePod(namespace, 'db', node) as PodObject;
  const nodeSelector = { 'kubernetes.io/hostname': node };
  await east.apply({ ...pod, spec: { ...pod.spec, nodeSelector } });
}

/** It is gone, and writes on another node, where everything that it had is. */
async function moveTo(east: Member, node: string): Promise<void> {
  const before = await written(east, namespace, 'db', 1);
  await east.kubectl('-n', namespace, 'delete', 'pod', 'db', '--timeout=180s');
  await startOn(east, node);
  await written(east, namespace, 'db', before + 20);
  const { rows, highest } = await rowsOf(east, namespace, 'db');
  assert.equal(rows, highest);
}

export async function roamed({ east }: World, report: Report): Promise<void> {
  const other = `east-node-${number}`;
  const home = 'east-node';
  if (!east.cluster.machines.some(({ name }) => name === other)) await east.cluster.addNode(number);
  const metadata = { name: namespace };
  await east.apply({ apiVersion: 'v1', kind: 'Namespace', metadata }, claim(namespace, 'data'));
  await startOn(east, other);
  await written(east, namespace, 'db', 20);
  await report.time('a pod goes to a node without its data', () => moveTo(east, home));
  await report.time('and comes back', () => moveTo(east, other));
  await east.kubectl('delete', 'namespace', namespace, '--timeout=180s');
}
