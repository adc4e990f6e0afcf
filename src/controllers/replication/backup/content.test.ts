import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../../../base/errors.ts';
import { limits } from '../../../base/limits.ts';
import { createDiscovery } from '../../../kube/discovery.ts';
import { configMaps, namespaces } from '../../../kube/resources.ts';
import { testClient, testRandom, TestTime } from '../../../kube/testing.ts';
import { type BackupHead, decodeHead, encodeHead, LineWriter, readLines } from './content.ts';
import { savedTransport } from './saved-cluster.ts';

const head: BackupHead = {
  name: 'nightly-1',
  by: 'uid',
  cluster: 'east',
  time: '2026-01-01T00:00:00Z',
  namespaces: ['shop'],
  volumes: [],
  objects: 2,
  parts: 1,
};

const line = (name: string, text = '') => ({
  type: configMaps,
  object: {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'shop', name, managedFields: [{ manager: 'kubectl' }] },
    data: { text },
  },
});

const random = testRandom();
const bytesOf = (count: number): Buffer => Buffer.from(random.bytes(count));

const isReason = (wanted: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === wanted;

suite('contents of backups', () => {
  test('objects come out of parts as they went in, however large', () => {
    const writer = new LineWriter();
    // What does not compress, so that there are many parts.
    const texts = Array.from({ length: 12 }, () => bytesOf(60_000).toString('base64'));
    const parts = texts.flatMap((text, i) => writer.add(line(`one-${i}`, text)));
    assert.ok(parts.length > 1, 'parts are given away while it goes on');
    parts.push(...writer.finish());
    for (const part of parts) assert.ok(part.length <= limits.backupPartMax);
    const found = readLines(parts);
    assert.deepEqual(
      found.map(({ object }) => (object as unknown as { data: { text: string } }).data.text),
      texts,
    );
    assert.equal(JSON.stringify(found).includes('kubectl'), false);
    assert.deepEqual(readLines(new LineWriter().finish()), []);
    assert.throws(() => readLines(parts.slice(1)), isReason('DataCorrupt'));
  });

  test('a head is what it was, and what is none is damaged', () => {
    assert.deepEqual(decodeHead(encodeHead(head)), head);
    assert.throws(() => decodeHead('AAAA'), isReason('DataCorrupt'));
    const volume = { namespace: 'shop', volume: 'v', version: 'v', bytes: 1, addedBytes: 1 };
    const volumes = Array.from({ length: 2_000 }, () => {
      return { ...volume, claim: bytesOf(40).toString('hex') };
    });
    assert.throws(() => encodeHead({ ...head, volumes }), isReason('LimitExceeded'));
  });
});

suite('the cluster that a backup was made of', () => {
  const shop = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
  const lines = [
    { type: namespaces, object: shop },
    ...Array.from({ length: 600 }, (_, i) => line(`one-${i}`)),
  ];
  const client = testClient(
    new TestTime(),
    savedTransport(async () => lines),
  );

  test('its kinds are found, listed in pages and read', async () => {
    const served = await createDiscovery(client).resources();
    assert.deepEqual(
      served.map(({ plural, namespaced }) => [plural, namespaced]),
      [
        ['namespaces', false],
        ['configmaps', true],
      ],
    );
    const names = new Set<string | undefined>();
    for await (const { metadata } of client.list(configMaps, { namespace: 'shop' })) {
      names.add(metadata.name);
    }
    assert.equal(names.size, 600);
    for await (const one of client.list(configMaps, { namespace: 'other' })) {
      assert.fail(`${one.metadata.name} is in another namespace`);
    }
    const found = await client.get(configMaps, { namespace: 'shop', name: 'one-7' });
    assert.equal(found?.metadata.name, 'one-7');
    assert.equal(await client.get(configMaps, { namespace: 'shop', name: 'none' }), undefined);
    const place = await client.get(namespaces, { namespace: '', name: 'shop' });
    assert.equal(place?.metadata.name, 'shop');
  });

  test('nobody writes to it', async () => {
    await assert.rejects(client.delete(configMaps, { namespace: 'shop', name: 'one-7' }));
  });
});
