import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { protobufObject } from './protobuf.ts';
import { StatusError } from './status.ts';

/** One field of bytes: number, length, content. */
function field(number: number, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const length: number[] = [];
  for (let rest = content.length; ; rest >>>= 7) {
    length.push(rest < 128 ? rest : (rest & 127) | 128);
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
}

function number(at: number, value: number): Uint8Array {
  assert(value < 128);
  return Buffer.from([at << 3, value]);
}

function envelope(apiVersion: string, kind: string, ...raw: readonly Uint8Array[]): Uint8Array {
  const typeMeta = field(1, field(1, apiVersion), field(2, kind));
  return Buffer.concat([Buffer.from('k8s\0'), typeMeta, field(2, ...raw)]);
}

test('a message becomes the object that JSON would have said', () => {
  const zeroes = [field(2, ''), field(4, ''), number(7, 0), field(8)];
  const meta = field(1, field(1, 'web'), field(11, field(1, 'a'), field(2, 'b')), ...zeroes);
  const limit = field(1, field(1, 'cpu'), field(2, field(1, '500m')));
  const port = field(6, number(3, 80));
  const container = field(2, field(1, 'main'), field(2, 'i'), port, field(8, limit));
  const template = field(3, field(1, field(11, field(1, 'a'), field(2, 'b'))), field(2, container));
  const strategy = field(4, field(2, field(1, number(1, 1), field(3, '25%'))));
  const spec = field(2, number(1, 0), field(2), template, strategy);
  assert.deepEqual(protobufObject(envelope('apps/v1', 'Deployment', meta, spec)), {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { a: 'b' } },
    spec: {
      // A pointer in Go: zero is not the same as nothing.
      replicas: 0,
      selector: {},
      template: {
        metadata: { labels: { a: 'b' } },
        spec: {
          containers: [
            {
              name: 'main',
              image: 'i',
              ports: [{ containerPort: 80 }],
              resources: { limits: { cpu: '500m' } },
            },
          ],
        },
      },
      strategy: { rollingUpdate: { maxUnavailable: '25%' } },
    },
  });
});

test('bytes, inlined sources and lists of texts', () => {
  const data = field(2, field(1, 'k'), field(2, Buffer.from([0, 255])));
  const secret = protobufObject(envelope('v1', 'Secret', data));
  assert.deepEqual(secret['data'], { k: 'AP8=' });
  const volume = field(1, field(1, 'v'), field(2, field(2, field(1, 'Memory'))));
  const pod = protobufObject(envelope('v1', 'Pod', field(2, volume)));
  assert.deepEqual(pod['spec'], { volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }] });
  const extra = field(5, field(1, 'scopes'), field(2, field(1, 'a'), field(1, 'b')));
  const review = envelope('authorization.k8s.io/v1', 'SubjectAccessReview', field(2, extra));
  assert.deepEqual(protobufObject(review)['spec'], { extra: { scopes: ['a', 'b'] } });
});

test('whatever bytes come, the answer is an object or a refusal', () => {
  const whole = envelope('v1', 'Pod', field(1, field(1, 'a')), field(2, field(2, field(1, 'c'))));
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, byte, isCut) => {
      const bytes = Uint8Array.from(isCut ? whole.subarray(0, at) : whole);
      if (!isCut) bytes[at] = byte;
      try {
        protobufObject(bytes);
      } catch (error) {
        assert(error instanceof StatusError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('kinds without a table are refused as a type of media', () => {
  const unknown = envelope('example.com/v1', 'Widget');
  assert.throws(
    () => protobufObject(unknown),
    (error) => error instanceof StatusError && error.code === 415,
  );
});
