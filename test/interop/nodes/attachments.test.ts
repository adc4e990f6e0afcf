// Kubernetes asks that a volume be usable on a node: its agent leads the volume then, wherever the
// data is, and never while another node uses it.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Volume, volumes } from '../../../src/api/kinds/volume.ts';
import { annotations, driver } from '../../../src/controllers/labels.ts';
import { connectNbd } from '../../../src/host/nbd-client.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import {
  type PersistentVolume,
  persistentVolumes,
  type VolumeAttachment,
  volumeAttachments,
} from '../../../src/kube/resources.ts';
import { control, Nodes, until } from './cluster-of-nodes.ts';

const options = { timeout: 600_000 };
const sizeBytes = 8 * 2 ** 20;
/** As large as the kernel asks. */
const requestBytes = 2 ** 17;
const name = 'data';
const names = ['e1', 'e2'] as const;

/** Two nodes under one control plane, and a volume that is at one of them. */
async function begin(nodes: Nodes, t: TestContext) {
  for (const one of names) await nodes.start(one, 'east');
  const agents = names.map((one) => ({ name: one, address: `unix://${nodes.socketOf(one)}` }));
  const { client, stop } = await control('east', agents);
  t.after(stop);
  const home = await makeVolume(client);
  return { client, home, away: names.find((one) => one !== home)! };
}

async function makeVolume(client: KubeClient): Promise<string> {
  await client.create<Volume>(volumes, { metadata: { name }, spec: { size: '8Mi' } });
  const draft = {
    metadata: { name: 'pv-data' },
    spec: {
      capacity: { storage: '8Mi' },
      accessModes: ['ReadWriteOnce'],
      csi: { driver, volumeHandle: name },
    },
  } as const;
  await client.create<PersistentVolume>(persistentVolumes, draft);
  const find = () => client.get(volumes, { namespace: '', name });
  await until('the volume', async () => {
    const conditions = (await find())?.status?.conditions ?? [];
    return conditions.some(({ type, status }) => type === 'Ready' && status === 'True');
  });
  return (await find())?.metadata.annotations?.[annotations.agent] ?? '';
}

async function ask(client: KubeClient, nodeName: string): Promise<string> {
  const attachment = `to-${nodeName}`;
  const source = { persistentVolumeName: 'pv-data' };
  const spec = { attacher: driver, nodeName, source };
  await client.create<VolumeAttachment>(volumeAttachments, {
    metadata: { name: attachment },
    spec,
  });
  return attachment;
}

async function statusOf(client: KubeClient, attachment: string) {
  return (await client.get(volumeAttachments, { namespace: '', name: attachment }))?.status;
}

async function attached(client: KubeClient, attachment: string): Promise<void> {
  await until(`${attachment} to be attached`, async () => {
    return (await statusOf(client, attachment))?.attached === true;
  });
  assert.equal((await statusOf(client, attachment))?.attachError, undefined);
}

async function refused(client: KubeClient, attachment: string, words: RegExp): Promise<void> {
  await until(`${attachment} to be refused`, async () => {
    return words.test((await statusOf(client, attachment))?.attachError?.message ?? '');
  });
  assert.equal((await statusOf(client, attachment))?.attached, false);
}

async function contentAt(nodes: Nodes, node: string): Promise<Buffer> {
  const door = await connectNbd({ exportName: name, socketPath: nodes.nbdSocketOf(node) });
  const into = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += requestBytes) {
    await door.read(into.subarray(at, at + requestBytes), at);
  }
  door.disconnect();
  return into;
}

async function writeAt(nodes: Nodes, node: string, content: Buffer) {
  const door = await connectNbd({ exportName: name, socketPath: nodes.nbdSocketOf(node) });
  for (let at = 0; at < sizeBytes; at += requestBytes) {
    await door.write(content.subarray(at, at + requestBytes), at);
  }
  await door.flush();
  return door;
}

test('a volume comes to the node where a pod wants it', options, async (t) => {
  await using nodes = new Nodes();
  const { client, home, away } = await begin(nodes, t);

  const nowhere = await ask(client, 'nobody');
  await refused(client, nowhere, /node nobody has no agent/);
  await client.delete(volumeAttachments, { namespace: '', name: nowhere });

  const first = Buffer.alloc(sizeBytes, 'written where the volume was made');
  const door = await writeAt(nodes, home, first);
  const toAway = await ask(client, away);
  // As long as somebody may still write there.
  await refused(client, toAway, /InUse: .* uses it at agent/);
  door.disconnect();
  await attached(client, toAway);
  assert.ok((await contentAt(nodes, away)).equals(first));
  await assert.rejects(contentAt(nodes, home), /led|replicated|export/);

  const second = Buffer.alloc(sizeBytes, 'written where the pod is');
  (await writeAt(nodes, away, second)).disconnect();
  const toHome = await ask(client, home);
  await refused(client, toHome, new RegExp(`attached to node ${away}`));
  await client.delete(volumeAttachments, { namespace: '', name: toAway });
  await attached(client, toHome);
  assert.ok((await contentAt(nodes, home)).equals(second));
});

test('an agent that comes back leads what its node still has attached', options, async (t) => {
  await using nodes = new Nodes();
  const { client, home, away } = await begin(nodes, t);
  const toAway = await ask(client, away);
  await attached(client, toAway);
  const content = Buffer.alloc(sizeBytes, 'acknowledged before it was killed');
  (await writeAt(nodes, away, content)).disconnect();
  const leader = async () => {
    const object = await client.get(volumes, { namespace: '', name });
    return object?.status?.replicaSet?.leader;
  };
  await nodes.kill(away);
  await until('the agent with the replica to lead', async () => (await leader()) === home);
  // Its pods still have it, so Kubernetes is told nothing else.
  assert.equal((await statusOf(client, toAway))?.attached, true);
  await nodes.start(away, 'east');
  await until('it to lead again', async () => (await leader()) === away);
  assert.ok((await contentAt(nodes, away)).equals(content));
});
