// Secrets are planted wherever people and programs put them; none may be in what is sent away.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { resources } from '../../src/api/kinds/resources.ts';
import { apiVersion } from '../../src/api/objects.ts';
import type { FakeAnswers } from '../../src/cli/fake-ports.ts';
import { TransshipError } from '../../src/base/errors.ts';
import { writeArchive } from '../../src/host/archive.ts';
import { persistentVolumeClaims, secrets } from '../../src/kube/resources.ts';
import { pods } from '../../src/kube/workloads.ts';
import { condition, startWorld, type World } from './world.ts';

const { clusters, repositories, volumes } = resources;

const planted = {
  password: 'hunter2-Correct9Horse',
  s3Key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  s3Id: 'AKIAIOSFODNN7EXAMPLE',
  jwt: 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ0cmFuc3NoaXAifQ.c2lnbmF0dXJlLW9mLWl0',
  join: 'transship1-ZWFzdC4xMjcuMC4wLjE6Nzc1MA',
  clientKey: 'TUlJRXZRSUJBREFOQmdrcWhraUc5dzBCQVFFRkFBU0NCS2M',
  environment: 'plain-words-in-the-environment',
  argument: 'plain-words-on-the-command-line',
  annotation: 'plain-words-in-an-annotation',
  url: 'Sw0rdfish-in-a-url',
  opaque: 'plain words that only a Secret holds',
} as const;

const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');

const kubeconfig = JSON.stringify({
  users: [{ name: 'u', user: { token: planted.jwt, 'client-key-data': planted.clientKey } }],
});

async function plant(world: World): Promise<void> {
  const client = world.client('east');
  const place = { namespace: 'transship-system', name: 'cluster-west' };
  const data = {
    kubeconfig: base64(kubeconfig),
    password: base64(planted.password),
    opaque: base64(planted.opaque),
  };
  await client.create(secrets, { metadata: place, type: 'Opaque', data });
  await client.create(clusters, {
    metadata: {
      name: 'prod',
      annotations: {
        'example.org/note': planted.annotation,
        'kubectl.kubernetes.io/last-applied-configuration': kubeconfig,
        'transship.dev/checked': `token: ${planted.join}`,
      },
    },
    spec: { kubeconfigSecretRef: { namespace: place.namespace, name: place.name } },
  });
  await client.create(repositories, {
    metadata: { name: 'store' },
    spec: {
      s3: {
        endpoint: 'https://s3.example.org',
        bucket: 'backups',
        credentialsSecretRef: { namespace: 'transship-system', name: 's3' },
      },
    },
  });
  await client.patchStatus(
    repositories,
    { namespace: '', name: 'store' },
    {
      status: {
        conditions: [
          condition('Ready', 'False', 'Forbidden', `key ${planted.s3Id} is not known there`),
        ],
      },
    },
  );
  await client.create(volumes, { metadata: { name: 'db' }, spec: { size: '8Mi' } });
  await client.create(persistentVolumeClaims, {
    metadata: { namespace: 'default', name: 'data', annotations: { hint: planted.opaque } },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  await client.create(pods, {
    metadata: { namespace: 'default', name: 'shop' },
    spec: {
      containers: [
        {
          name: 'shop',
          image: 'registry.example.org/shop:1',
          args: [`--password=${planted.argument}`],
          env: [{ name: 'DATABASE', value: planted.environment }],
        },
      ],
    },
  });
}

const report = { kind: 'Report', apiVersion, metadata: { name: 'doctor' }, passed: true };
const answers: FakeAnswers = {
  'agent.doctor': () => ({ ...report, findings: [] }),
  'agent.metrics': () => ({ text: 'transship_pool_free_bytes{pool="main"} 1\n' }),
  'agent.status': () => {
    throw new TransshipError('AgentUnreachable', `no answer with Bearer ${planted.jwt}`);
  },
};

const log = [
  'ready to serve',
  `PUT s3://backups: secretAccessKey=${planted.s3Key} accessKeyId: ${planted.s3Id}`,
  `joined with ${planted.join}`,
  `GET https://admin:${planted.url}@registry.example.org/v2/`,
  `authorization: Bearer ${planted.jwt}`,
  `client-key-data: ${planted.clientKey}`,
  `the secret said: ${planted.opaque}`,
  `-----BEGIN PRIVATE KEY-----\n${planted.clientKey}\n-----END PRIVATE KEY-----`,
].join('\n');

test('the bundle has what helps, and no secret', async () => {
  await using world = await startWorld(['east'], answers);
  await plant(world);
  const { code, out, err } = await world.run('cluster diagnose --output-file /tmp/x.tar.gz', {
    ports: { readEnd: async () => log },
  });
  assert.equal(code, 0, err);
  assert.equal(out, '/tmp/x.tar.gz\n');
  const { files } = world.archives[0]!;
  const all = files.map(({ path, text }) => `${path}\n${text}`).join('\n');
  for (const [what, secret] of Object.entries(planted)) {
    assert.equal(all.includes(secret), false, `${what} is in the bundle`);
    assert.equal(all.includes(base64(secret)), false, `${what} is in the bundle, encoded`);
    assert.equal(err.includes(secret), false, `${what} is on the terminal`);
  }
  const text = (end: string) => files.find(({ path }) => path.endsWith(`/${end}`))?.text ?? '';
  assert.match(text('conditions.txt'), /What is wrong:\n.*\nRepository +store +Ready +False/);
  const listed = JSON.parse(text('objects/secrets.json'));
  const secret = listed.items.find(({ metadata }: { metadata: { name: string } }) => {
    return metadata.name === 'cluster-west';
  });
  assert.deepEqual(Object.keys(secret.data).toSorted(), ['kubeconfig', 'opaque', 'password']);
  assert.equal(JSON.parse(text('objects/volumes.json')).items[0].spec.size, '8Mi');
  assert.equal(JSON.parse(text('objects/pods.json')).items[0].metadata.name, 'shop');
  assert.match(text('logs/agent.log'), /^ready to serve\n/);
  assert.match(text('agent/metrics.txt'), /transship_pool_free_bytes/);
  assert.match(text('README.txt'), /the agent's status: no answer with Bearer \(removed\)/);
});

test('a cluster of a kubeconfig has no agent and no logs here', async () => {
  await using world = await startWorld(['east', 'west']);
  const { code, err } = await world.run('cluster diagnose --context west');
  assert.equal(code, 0, err);
  const paths = world.archives[0]!.files.map(({ path }) => path.slice(path.indexOf('/') + 1));
  assert.ok(paths.includes('objects/clusters.json'));
  assert.deepEqual(
    paths.filter((path) => path.startsWith('agent/') || path.startsWith('logs/')),
    [],
  );
});

test('the archive is one that tar reads, for its owner only, and replaces nothing', () => {
  const directory = mkdtempSync(join(tmpdir(), 'transship-archive-'));
  try {
    const path = join(directory, 'x.tar.gz');
    const files = [
      { path: 'top/a.txt', text: 'ä'.repeat(300) },
      { path: 'top/b/empty.txt', text: '' },
      { path: 'top/b/block.txt', text: 'x'.repeat(512) },
    ];
    writeArchive(path, files, Date.UTC(2026, 0, 31));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    execFileSync('tar', ['xzf', path, '-C', directory]);
    for (const file of files) {
      assert.equal(readFileSync(join(directory, file.path), 'utf8'), file.text);
    }
    assert.deepEqual(readdirSync(join(directory, 'top')).toSorted(), ['a.txt', 'b']);
    assert.throws(() => writeArchive(path, files, 0), /is there already/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
