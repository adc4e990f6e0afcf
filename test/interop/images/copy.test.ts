import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import test from 'node:test';
import { copyImage } from '../../../src/images/images.ts';
import { startRelay } from '../../relay/relay.ts';
import { missing, must, scratch } from '../tools.ts';
import {
  makeAuthority,
  ports,
  putBlob,
  putImage,
  putManifest,
  Registry,
  twoRegistries,
} from './registries.ts';

const skip = missing('docker-registry', 'htpasswd', 'openssl');
const large = 61 * 1024 * 1024;

test('all of an image is copied once, and readable by others', { skip }, async () => {
  await using place = await twoRegistries('b');
  const { a, b } = place;
  const image = await putImage(a, 'shop/api', randomBytes(large));
  const ends = { from: a.end('shop/api:1.0'), to: b.end('moved/api:1.0') };
  const first = await copyImage(ports, { ...ends, tags: ['stable'], verify: true });
  const sig = `${image.digest.replace(':', '-')}.sig`;
  assert.equal(first.digest, image.digest);
  assert.deepEqual(first.tags, [sig, '1.0', 'stable']);
  assert.equal(first.layers, image.layers);
  assert.equal(first.layersPresent, 0);
  assert.equal(first.copiedBytes, image.bytes);
  const list = await b.call('GET', `moved/api/manifests/${image.digest.replace(':', '-')}`);
  assert.match(list.bytes.toString(), /"artifactType":"application\/x-test"/);

  const second = await copyImage(ports, ends);
  assert.equal(second.layersPresent, image.layers);
  assert.equal(second.copiedBytes, 0);
  assert.ok(second.wireBytes < 64 * 1024, `${second.wireBytes} bytes were on the wire`);

  const mounted = await copyImage(ports, {
    from: b.end('moved/api@' + image.digest),
    to: b.end('other/api:2'),
  });
  assert.equal(mounted.copiedBytes, 0, 'one registry mounts');

  await test.test('skopeo reads it', { skip: missing('skopeo') }, async () => {
    const trust = ['--src-cert-dir', place.path, '--src-creds', 'mover:open sesame'];
    const from = `docker://127.0.0.1:${b.port}/moved/api:stable`;
    const to = `oci:${join(place.path, 'layout')}:x`;
    await must('skopeo', '--insecure-policy', 'copy', '--all', ...trust, from, to);
  });
});

test('a cut in the middle of a layer costs neither the copy nor its content', {
  skip,
}, async () => {
  await using place = await twoRegistries();
  const { a, b } = place;
  const image = await putImage(a, 'shop/api', randomBytes(large));
  for (const side of ['source', 'destination'] as const) {
    const port = side === 'source' ? a.port : b.port;
    const relay = await startRelay({ host: '127.0.0.1', port, delayMs: 0 });
    let cuts = 0;
    relay.onPassed(() => {
      if (relay.bytes() < (cuts + 1) * 20 * 1024 * 1024 || cuts >= 2) return;
      cuts += 1;
      relay.cut();
      // What comes now finds the link again.
      setImmediate(() => relay.restore());
    });
    try {
      const copied = await copyImage(ports, {
        from: a.end('shop/api:1.0', side === 'source' ? relay.port : a.port),
        to: b.end(`${side}/api:1.0`, side === 'destination' ? relay.port : b.port),
        verify: true,
      });
      assert.equal(cuts, 2);
      assert.equal(copied.digest, image.digest);
      if (side === 'source') {
        assert.ok(copied.wireBytes < 4 * large, 'the source is asked for the rest only');
      }
    } finally {
      await relay.close();
    }
  }
});

test('a layer that may not be passed on stays where it is', { skip }, async () => {
  await using place = await twoRegistries();
  const { a, b } = place;
  const config = await putBlob(a, 'win', Buffer.from('{}'));
  const docker = 'application/vnd.docker';
  const foreign = {
    mediaType: `${docker}.image.rootfs.foreign.diff.tar.gzip`,
    digest: `sha256:${'ab'.repeat(32)}`,
    size: 12,
    urls: ['https://layers.example/one'],
  };
  await putManifest(
    a,
    { name: 'win', tag: '1' },
    {
      mediaType: `${docker}.distribution.manifest.v2+json`,
      config: { ...config, mediaType: `${docker}.container.image.v1+json` },
      layers: [foreign],
    },
  );
  const copied = await copyImage(ports, { from: a.end('win:1'), to: b.end('win:1') });
  assert.equal(copied.layersForeign, 1);
  assert.equal(copied.layers, 1);
});

test('a registry whose certificate nobody vouches for is not asked', { skip }, async () => {
  using place = scratch();
  const authority = await makeAuthority(place.path);
  using elsewhere = scratch();
  const stranger = await makeAuthority(elsewhere.path);
  await using a = await Registry.start(join(place.path, 'a'), authority);
  await using b = await Registry.start(join(place.path, 'b'), stranger, { isSecret: true });
  const image = await putImage(a, 'api', randomBytes(1024));
  assert.ok(image.digest);
  const { transport } = b.end('api');
  await assert.rejects(
    copyImage(ports, { from: { ...a.end('api:1.0'), transport }, to: b.end('api:1.0') }),
    { reason: 'RegistryRefused' },
  );
  const { credentials: _, ...nobody } = b.end('api:1.0');
  await assert.rejects(copyImage(ports, { from: a.end('api:1.0'), to: nobody }), {
    reason: 'RegistryRefused',
  });
});
