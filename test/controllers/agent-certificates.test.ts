// What a controller that runs as a pod makes before it works, with the rights of its account.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { suite, test } from 'node:test';
import { type Cluster, clusters } from '../../src/api/kinds/cluster.ts';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import {
  agentSecret,
  controllerSecret,
  ensureAgentCertificates,
} from '../../src/controllers/agents/certificates.ts';
import { ensureLocalCluster } from '../../src/controllers/agents/local.ts';
import { applyObjects } from '../../src/controllers/install.ts';
import {
  controllerAccount,
  installationObjects,
  systemNamespace,
} from '../../src/controllers/installation.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import { admin, countingRandom, MemoryPersistence } from '../../src/embedded/server/testing.ts';
import { createCertificateMaker } from '../../src/host/agent-certificates.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { secrets } from '../../src/kube/resources.ts';
import { TestClock } from './clock.ts';

const log = { log: () => undefined };
const account = {
  name: `system:serviceaccount:${systemNamespace}:${controllerAccount}`,
  groups: ['system:authenticated'],
};

async function open(): Promise<{ readonly boss: KubeClient; readonly pod: KubeClient }> {
  const clock = new TestClock();
  const random = countingRandom();
  const library = createSchemaLibrary();
  const persistence = new MemoryPersistence();
  const server = createApiServer({ clock, random, log, library, persistence });
  const client = (user: typeof admin) =>
    createKubeClient({
      cluster: 'east',
      transport: (request) => server.handle(request, user),
      clock,
      random,
      log,
      fieldManager: user.name.slice(0, 20),
    });
  const boss = client(admin);
  await applyObjects(boss, kinds.map(crdOf) as unknown as readonly KubeObject[]);
  await applyObjects(boss, installationObjects({ defaultClass: true, migrations: false }));
  return { boss, pod: client(account) };
}

async function entry(client: KubeClient, name: string, key: string): Promise<string> {
  const secret = await client.get(secrets, { namespace: systemNamespace, name });
  const data = secret?.data?.[key] ?? assert.fail(`Secret ${name} has no ${key}`);
  return Buffer.from(data, 'base64').toString('utf8');
}

const yearMs = 365 * 24 * 3600 * 1000;

suite('a controller in a pod', () => {
  test('several make one authority, and agents never see its key', async () => {
    const { boss, pod } = await open();
    const maker = createCertificateMaker(() => Date.now());
    const made = await Promise.all([
      ensureAgentCertificates(pod, maker),
      ensureAgentCertificates(pod, maker),
      ensureAgentCertificates(pod, maker),
    ]);
    assert.equal(new Set(made.map(({ authority }) => authority)).size, 1);
    const authority = new X509Certificate(await entry(boss, controllerSecret, 'ca.crt'));
    assert.equal(made[0]?.authority, authority.toString());
    const agents = new X509Certificate(await entry(boss, agentSecret, 'tls.crt'));
    assert.ok(agents.verify(authority.publicKey));
    assert.equal(agents.checkHost('transship-agent'), 'transship-agent');
    const secret = await boss.get(secrets, { namespace: systemNamespace, name: agentSecret });
    assert.deepEqual(Object.keys(secret?.data ?? {}).toSorted(), ['ca.crt', 'tls.crt', 'tls.key']);
  });

  test('what is fresh stays; what is half over is renewed by the same authority', async () => {
    const { boss, pod } = await open();
    let nowMs = Date.now();
    const maker = createCertificateMaker(() => nowMs);
    const first = await ensureAgentCertificates(pod, maker);
    const firstAgent = await entry(boss, agentSecret, 'tls.crt');
    nowMs += yearMs * 0.4;
    assert.deepEqual(await ensureAgentCertificates(pod, maker), first);
    assert.equal(await entry(boss, agentSecret, 'tls.crt'), firstAgent);
    nowMs += yearMs * 0.2;
    const second = await ensureAgentCertificates(pod, maker);
    assert.equal(second.authority, first.authority);
    assert.notEqual(second.certificate, first.certificate);
    assert.notEqual(await entry(boss, agentSecret, 'tls.crt'), firstAgent);
    assert.equal(await entry(boss, controllerSecret, 'tls.crt'), second.certificate);
  });

  test('agents follow the authority of the controllers, when that was lost', async () => {
    const { boss, pod } = await open();
    const maker = createCertificateMaker(() => Date.now());
    await ensureAgentCertificates(pod, maker);
    await boss.delete(secrets, { namespace: systemNamespace, name: controllerSecret });
    const { authority } = await ensureAgentCertificates(pod, maker);
    const agents = new X509Certificate(await entry(boss, agentSecret, 'tls.crt'));
    assert.ok(agents.verify(new X509Certificate(authority).publicKey));
    assert.equal(await entry(boss, agentSecret, 'ca.crt'), authority);
  });

  test('the object of the cluster is made once, and keeps what people change', async () => {
    const { boss, pod } = await open();
    await ensureLocalCluster(pod, 'east');
    const at = { namespace: '', name: 'east' };
    const agentPods = { namespace: 'elsewhere', selector: 'a=b', port: 1 };
    await boss.patch(clusters, at, { spec: { agentPods } });
    await ensureLocalCluster(pod, 'east');
    const found = await boss.get<Cluster>(clusters, at);
    assert.deepEqual(found?.spec, { local: true, agentPods });
    await assert.rejects(ensureLocalCluster(pod, 'west'), { reason: 'Conflict' });
  });
});
