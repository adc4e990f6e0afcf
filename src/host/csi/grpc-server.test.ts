import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { TransshipError } from '../../base/errors.ts';
import { codes } from '../../csi/errors.ts';
import { Codec } from '../../csi/wire/message.ts';
import type { BlockMetadataDraft } from '../../csi/wire/messages.ts';
import { snapshotMetadata } from '../../csi/wire/services.ts';
import { GrpcServer } from './grpc-server.ts';

/** Far more than sockets and buffers between the two can hold. */
const endless = 100_000;
const rangesEach = 2000;

const big: BlockMetadataDraft = {
  blockMetadata: Array.from({ length: rangesEach }, (_, i) => {
    return { byteOffset: 2 ** 50 + i, sizeBytes: 2 ** 40 };
  }),
};

suite('answers in many messages', () => {
  let directory = '';
  let server: GrpcServer;
  let client: grpc.Client;
  let made = 0;
  let letGo: Promise<void>;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ts-'));
    const endpoint = `unix://${join(directory, 'csi.sock')}`;
    server = new GrpcServer({ log: () => undefined });
    made = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    letGo = promise;
    server.add(snapshotMetadata, {
      GetMetadataAllocated: async function* () {
        try {
          for (made = 0; made < endless; made++) yield big;
        } finally {
          resolve();
        }
      },
      GetMetadataDelta: async function* ({ startingOffset }) {
        for (let i = 0; i < startingOffset; i++) yield { volumeCapacityBytes: i };
        throw new TransshipError('NotFound', 'there is no snapshot x');
      },
    });
    await server.listen(endpoint);
    client = new grpc.Client(endpoint, grpc.credentials.createInsecure());
  });

  afterEach(async () => {
    client.close();
    await server.stop();
    rmSync(directory, { recursive: true });
  });

  const codec = new Codec();
  const open = (name: keyof typeof snapshotMetadata.calls, startingOffset = 0) => {
    const { asks, answers } = snapshotMetadata.calls[name];
    return client.makeServerStreamRequest(
      `/${snapshotMetadata.name}/${name}`,
      (value: object) => Buffer.from(codec.encode(asks, value)),
      (bytes) => codec.decode(answers, bytes),
      { startingOffset },
    );
  };

  test('wait for a reader that does not read, and end where it goes away', async () => {
    const stream = open('GetMetadataAllocated');
    stream.on('error', () => undefined);
    // The client of grpc-js holds back nothing before its first message was read.
    const messages = stream[Symbol.asyncIterator]();
    await messages.next();
    // Nothing more is made once all that lies between the two is full.
    let before = -1;
    while (before !== made) {
      before = made;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.ok(made < endless / 10, `${made} made for a reader who took none`);
    for (let taken = 0; taken <= before; taken++) {
      const { value } = (await messages.next()) as { readonly value: BlockMetadataDraft };
      assert.equal(value.blockMetadata?.length, rangesEach);
    }
    assert.ok(made > before, 'more came as soon as something was taken');
    stream.cancel();
    await letGo;
    assert.ok(made < endless, 'nobody made the rest');
  });

  test('that end in an error say so behind the last message', async () => {
    for (const count of [0, 3, 40]) {
      const stream = open('GetMetadataDelta', count);
      const seen: unknown[] = [];
      stream.on('data', (message: BlockMetadataDraft) => seen.push(message.volumeCapacityBytes));
      const error = await new Promise<grpc.ServiceError>((resolve) => stream.on('error', resolve));
      assert.equal(error.code, codes.notFound);
      assert.match(error.details, /there is no snapshot x/);
      assert.deepEqual(
        seen,
        Array.from({ length: count }, (_, i) => i),
      );
    }
  });
});
