// What an earlier program said in the peer protocol must be understood as long as its version is.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { decodeChunks, decodeFlags, decodeNames } from '../../src/peer/chunk-codec.ts';
import { createFrameDecoder, type Frame } from '../../src/peer/frame.ts';
import { decodeJson } from '../../src/peer/json-fields.ts';
import {
  decodeError,
  decodeGrant,
  decodeGrantRequest,
  decodeHello,
  decodePathRequest,
  decodeVolumes,
} from '../../src/peer/messages.ts';
import { decodeTerm, decodeWrite } from '../../src/peer/replica/codec.ts';
import { decodeToken } from '../../src/peer/token.ts';
import { goldenChunks } from './golden.ts';
import {
  goldenGrant,
  goldenHello,
  goldenPath,
  goldenPeerFrames,
  goldenPeerPath,
  goldenProof,
  goldenReplicaFrames,
  goldenReplicaPath,
  goldenReplicaWrite,
  goldenToken,
  goldenVolume,
} from './peer-frames.ts';

suite('peer protocol, version 1', () => {
  const bytes = readFileSync(goldenPeerPath);
  const frames: Frame[] = [];
  const decoder = createFrameDecoder((frame) => frames.push(frame));
  decoder.trust();
  decoder.push(bytes);
  const at = (i: number): Frame => frames[i] ?? assert.fail(`no frame ${i}`);
  const plain = (value: Uint8Array) => Buffer.from(value).toString('hex');

  test('frames are written today as they were', () => {
    assert.ok(bytes.equals(goldenPeerFrames()), 'the golden frames differ');
    assert.equal(frames.length, 15);
  });

  test('messages of replicas are written today as they were, and understood', () => {
    const known = readFileSync(goldenReplicaPath);
    assert.ok(known.equals(goldenReplicaFrames()), 'the golden frames differ');
    const found: Frame[] = [];
    const reader = createFrameDecoder((frame) => found.push(frame));
    reader.trust();
    reader.push(known);
    assert.deepEqual(
      found.map(({ type }) => type),
      [32, 32 | 0x80, 33, 34, 35, 36],
    );
    assert.deepEqual(decodeWrite(new Uint8Array(found[0]!.payload)), goldenReplicaWrite);
    assert.deepEqual(decodeTerm(decodeJson(found[2]!.payload).object('term')), {
      ...goldenReplicaWrite.term,
      leader: 'east',
    });
  });

  test('control messages of version 1 are understood', () => {
    assert.deepEqual(decodeHello(at(0).payload), goldenHello);
    assert.equal(decodeJson(at(2).payload).number('wallMs'), 5);
    assert.deepEqual(decodeVolumes(at(3).payload), [goldenVolume]);
    assert.equal(decodeGrantRequest(at(4).payload).holder, 'west/db');
    const grant = decodeGrant(at(5).payload);
    const version = { ...grant.version, root: plain(grant.version.root) };
    const expected = { ...goldenGrant.version, root: plain(goldenGrant.version.root) };
    assert.deepEqual({ ...grant, version }, { ...goldenGrant, version: expected });
    const error = decodeError(at(14).payload, 'east');
    assert.deepEqual([error.reason, error.message], ['NotFound', 'east: no volume db']);
  });

  test('data messages of version 1 are understood', () => {
    const path = decodePathRequest(at(6).payload);
    const expected = { ...goldenPath, root: plain(goldenPath.root) };
    assert.deepEqual({ ...path, root: plain(path.root) }, expected);
    assert.equal(decodeNames(at(7).payload, 2).length, 2);
    for (const i of [8, 12]) {
      const chunks = decodeChunks(at(i).payload);
      assert.deepEqual(
        chunks.map(({ name }) => plain(name)),
        goldenChunks().map(({ name }) => plain(name)),
      );
      assert.deepEqual(
        chunks.map((c) => plain(c.bytes)),
        goldenChunks().map((c) => plain(c.bytes)),
      );
    }
    assert.deepEqual(
      [at(8).lane, at(8).last, at(9).last, at(9).argument],
      ['background', false, true, 2],
    );
    assert.deepEqual(decodeFlags(at(11).payload, 9).map(Number).join(''), '100110001');
  });

  test('a join token of version 1 is understood', () => {
    const fields = decodeJson(at(13).payload);
    const token = decodeToken(fields.text('token', 4096));
    assert.deepEqual(
      { ...token, secret: plain(token.secret) },
      { ...goldenToken, secret: plain(goldenToken.secret) },
    );
    assert.equal(fields.text('proof', 64), goldenProof);
  });
});
