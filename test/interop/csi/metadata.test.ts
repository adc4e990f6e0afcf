// Changed blocks of snapshots as backup software asks for them: over the socket of the driver, of a
// real agent. Whether they are right is told by comparing bytes, not by looking at the ranges.
import assert from 'node:assert/strict';
import {
  closeSync,
  copyFileSync,
  openSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ChangesObject } from '../../../src/api/changes-object.ts';
import { codes } from '../../../src/csi/errors.ts';
import { noise, writeNoise } from '../content.ts';
import { type Agent, type Cloud, refusal, startCloud } from '../cloud.ts';
import { missing, must, scratch } from '../tools.ts';
import { type BlockMetadata, Caller, type Ended, type MetadataAnswer } from './caller.ts';
import { startDriver } from './driver.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const blockBytes = 16 * KiB;
const variableLength = 2;
const allocatedCall = '/csi.v1.SnapshotMetadata/GetMetadataAllocated';
const deltaCall = '/csi.v1.SnapshotMetadata/GetMetadataDelta';
const options = { skip: missing('cmp'), timeout: 10 * 60_000 };

async function snapshot(caller: Caller, volume: string, name: string): Promise<string> {
  const fields = { source_volume_id: volume, name };
  const words = ['CreateSnapshotRequest', 'CreateSnapshotResponse'] as const;
  const answer = await caller.call('/csi.v1.Controller/CreateSnapshot', ...words, fields);
  return (answer['snapshot'] as { snapshot_id: string }).snapshot_id;
}

function rangesOf({ answers, code, details }: Ended<MetadataAnswer>): readonly BlockMetadata[] {
  assert.equal(code, 0, details);
  assert.ok(answers.length > 0, 'an answer says the capacity');
  const [first] = answers;
  for (const one of answers) {
    assert.equal(one.block_metadata_type, variableLength);
    assert.equal(one.volume_capacity_bytes, first?.volume_capacity_bytes);
  }
  const ranges = answers.flatMap((one) => one.block_metadata);
  for (const [i, { byte_offset: offset, size_bytes: length }] of ranges.entries()) {
    const before = ranges[i - 1];
    assert.ok(length > 0 && offset + length <= (first?.volume_capacity_bytes ?? 0));
    if (before !== undefined) assert.ok(before.byte_offset + before.size_bytes <= offset);
  }
  return ranges;
}

/** Copies ranges of one file over another, which gets the size of the first. */
function apply(ranges: readonly BlockMetadata[], from: string, to: string, size: number): void {
  truncateSync(to, size);
  const [source, target] = [openSync(from, 'r'), openSync(to, 'r+')];
  for (const { byte_offset: offset, size_bytes: length } of ranges) {
    const bytes = Buffer.alloc(length);
    assert.equal(readSync(source, bytes, 0, length, offset), length);
    writeSync(target, bytes, 0, length, offset);
  }
  closeSync(source);
  closeSync(target);
}

function bytesIn(ranges: readonly BlockMetadata[]): number {
  return ranges.reduce((sum, { size_bytes: length }) => sum + length, 0);
}

async function writeFirst(agent: Agent): Promise<void> {
  using client = await agent.connect('db');
  await writeNoise(client, 1, { offset: 0, lengthBytes: 3 * MiB });
  await writeNoise(client, 50, { offset: 20 * MiB, lengthBytes: 2 * MiB });
  for (let i = 0; i < 40; i++) await client.write(noise(100 + i, 4 * KiB), 30 * MiB + i * 100_000);
  await client.flush();
}

/** New data, the same data, zeroes and discards, at the edges of blocks and inside of them. */
async function writeSecond(agent: Agent): Promise<void> {
  using client = await agent.connect('db');
  await writeNoise(client, 1, { offset: 0, lengthBytes: MiB });
  await client.write(noise(7, 512), MiB + 100);
  await client.trim(2 * MiB, 512 * KiB);
  await client.writeZeroes(20 * MiB + 3000, 70_000);
  for (let i = 0; i < 25; i++) await client.write(noise(300 + i, 9000), 40 * MiB + i * 64 * KiB);
  await client.write(noise(9, 4 * KiB), 64 * MiB - 4 * KiB);
  await client.flush();
}

/** Three snapshots of `db`, the last after it grew, and what is in them. */
interface Kept {
  readonly caller: Caller;
  readonly ids: readonly [string, string, string];
  readonly sizes: readonly number[];
  readonly path: (snapshot: number) => string;
}

const grown = 70 * MiB + 4 * KiB;
const names = ['one', 'two', 'three'] as const;

async function keepThree(agent: Agent, caller: Caller, directory: string): Promise<Kept> {
  await writeFirst(agent);
  const one = await snapshot(caller, 'db', 'one');
  await writeSecond(agent);
  const two = await snapshot(caller, 'db', 'two');
  // Grown to the inside of a block, then written over the old end and at the new one.
  await agent.call('volume.resize', { name: 'db', sizeBytes: grown });
  {
    using client = await agent.connect('db');
    await client.write(noise(11, 4 * KiB), grown - 4 * KiB);
    await client.write(noise(12, 100 * KiB), 64 * MiB - 50 * KiB);
    await client.flush();
  }
  const three = await snapshot(caller, 'db', 'three');
  const path = (at: number): string => join(directory, `${names[at]}.raw`);
  for (const [at, name] of names.entries()) {
    const request = { volume: 'db', snapshot: name, path: path(at), format: 'raw' };
    await agent.job('volume.export', request);
  }
  return { caller, ids: [one, two, three], sizes: [64 * MiB, 64 * MiB, grown], path };
}

type Delta = (base: number, target: number, more?: object) => Promise<Ended<MetadataAnswer>>;

function deltaOf({ caller, ids }: Kept): Delta {
  return (base, target, more = {}) => {
    const fields = { base_snapshot_id: ids[base], target_snapshot_id: ids[target], ...more };
    return caller.all(deltaCall, 'GetMetadataDeltaRequest', fields);
  };
}

test('a copy of a snapshot with its changes is the next snapshot', options, async () => {
  await using cloud = await startCloud(['east'], { planes: true });
  using place = scratch();
  const endpoint = `unix://${join(place.path, 'csi.sock')}`;
  await using _driver = await startDriver(cloud, endpoint);
  using caller = new Caller(endpoint);
  await cloud.must('volume', 'create', 'db', '--size', '64Mi', '--block-size', '16Ki');
  await cloud.must('volume', 'create', 'other', '--size', '1Mi');
  const kept = await keepThree(cloud.agent('east'), caller, place.path);
  const delta = deltaOf(kept);
  await bringOver(kept, delta, join(place.path, 'copy.raw'));
  // No more than what was written anew, in whole blocks: equal data is no change.
  const changed = rangesOf(await delta(0, 1));
  assert.ok(bytesIn(changed) <= MiB / 2 + 32 * blockBytes, `${bytesIn(changed)}`);
  assert.deepEqual(rangesOf(await delta(1, 1)), []);
  await inParts(delta, changed);
  await shown(cloud, changed);
  await refused(kept);
});

/** Also backwards: who goes back to an older snapshot needs the same. */
async function bringOver({ caller, ids, sizes, path }: Kept, delta: Delta, copy: string) {
  const ways = [0, 1, 2].flatMap((base) => [0, 1, 2].map((target) => [base, target] as const));
  for (const [base, target] of ways) {
    const ranges = rangesOf(await delta(base, target));
    copyFileSync(path(base), copy);
    apply(ranges, path(target), copy, sizes[target]!);
    await must('cmp', copy, path(target));
  }
  for (const [target, id] of ids.entries()) {
    const type = 'GetMetadataAllocatedRequest';
    const ranges = rangesOf(await caller.all(allocatedCall, type, { snapshot_id: id }));
    writeFileSync(copy, '');
    apply(ranges, path(target), copy, sizes[target]!);
    await must('cmp', copy, path(target));
  }
}

/** A few at a time, and from where a call before was cut off. */
async function inParts(delta: Delta, changed: readonly BlockMetadata[]): Promise<void> {
  const few = await delta(0, 1, { max_results: 3 });
  assert.ok(few.answers.every((answer) => answer.block_metadata.length <= 3));
  assert.deepEqual(rangesOf(few), changed);
  const half = changed[Math.floor(changed.length / 2)]!;
  const rest = changed.slice(changed.indexOf(half));
  const from = async (offset: number): Promise<readonly BlockMetadata[]> => {
    return rangesOf(await delta(0, 1, { starting_offset: offset }));
  };
  assert.deepEqual(await from(half.byte_offset), rest);
  assert.deepEqual(await from(half.byte_offset + 1), rest);
  assert.deepEqual(await from(64 * MiB), []);
  // The end of the last block is not the end of a block.
  assert.deepEqual(rangesOf(await delta(1, 2, { starting_offset: grown })), []);
  const last = rangesOf(await delta(1, 2, { starting_offset: grown - 1 }));
  assert.deepEqual(last, [{ byte_offset: 70 * MiB, size_bytes: 4 * KiB }]);
}

/** The same for people. */
async function shown(cloud: Cloud, changed: readonly BlockMetadata[]): Promise<void> {
  const words = ['volume', 'changed', 'db', '--from', 'one', '--to', 'two'];
  const { status } = JSON.parse(await cloud.must(...words, '-o', 'json')) as ChangesObject;
  const told = status.ranges.map(({ offset, lengthBytes }) => {
    return { byte_offset: offset, size_bytes: lengthBytes };
  });
  assert.deepEqual(told, changed);
  const { stdout, stderr } = await cloud.cli(...words, '--offset', '40Mi', '--max', '2');
  assert.match(stdout, /^OFFSET {10}LENGTH\n40Mi {12}16Ki\n41024Ki {9}16Ki\n$/);
  assert.match(stderr, /2 ranges, 32\.0 KiB of 64\.0 MiB\nThere is more: --offset \d+\n/);
}

/** Each mistake has the status that the specification gives it. */
async function refused({ caller, ids }: Kept): Promise<void> {
  const [one, two] = ids;
  const delta = { base_snapshot_id: one, target_snapshot_id: two };
  const cases: readonly (readonly [call: string, fields: object, code: number, words: RegExp])[] = [
    [allocatedCall, {}, codes.invalidArgument, /no snapshot id/],
    [allocatedCall, { snapshot_id: 'nothing' }, codes.notFound, /no snapshot nothing/],
    [allocatedCall, { snapshot_id: 'db@gone' }, codes.notFound, /no snapshot gone/],
    [allocatedCall, { snapshot_id: 'gone@one' }, codes.notFound, /no snapshot gone@one/],
    [allocatedCall, { snapshot_id: one, max_results: -1 }, codes.invalidArgument, /-1 results/],
    [allocatedCall, { snapshot_id: one, starting_offset: -1 }, codes.outOfRange, /no offset -1/],
    [allocatedCall, { snapshot_id: one, starting_offset: 64 * MiB + 1 }, codes.outOfRange, /past/],
    [deltaCall, { target_snapshot_id: two }, codes.invalidArgument, /no base snapshot id/],
    [deltaCall, { ...delta, base_snapshot_id: 'db@gone' }, codes.notFound, /no snapshot gone/],
    [deltaCall, { ...delta, base_snapshot_id: 'other@one' }, codes.invalidArgument, /of one vol/],
    [deltaCall, { ...delta, base_snapshot_id: 'x@one' }, codes.notFound, /no snapshot x@one/],
    [deltaCall, { ...delta, starting_offset: 65 * MiB }, codes.outOfRange, /past the end/],
  ];
  for (const [call, fields, code, words] of cases) {
    const type = call === deltaCall ? 'GetMetadataDeltaRequest' : 'GetMetadataAllocatedRequest';
    const ended = await caller.all(call, type, { ...fields });
    assert.equal(ended.code, code, `${JSON.stringify(fields)}: ${ended.details}`);
    assert.match(ended.details, words);
    assert.deepEqual(ended.answers, []);
  }
  const answer = await caller.call(
    '/csi.v1.Identity/GetPluginCapabilities',
    'Empty',
    'GetPluginCapabilitiesResponse',
  );
  const said = answer['capabilities'] as readonly { readonly service?: { type: number } }[];
  assert.ok(said.some(({ service }) => service?.type === 4));
}

test('of a volume whose data is still elsewhere', options, async () => {
  await using cloud = await startCloud(['east', 'west']);
  const [east, west] = [cloud.agent('east'), cloud.agent('west')];
  await east.create('db', 64 * MiB, blockBytes);
  await writeFirst(east);
  await west.call('teleport.start', { cluster: 'east', volume: 'db', thin: true });
  await west.call('volume.snapshot', { volume: 'db', name: 'one' });
  await writeSecond(west);
  await west.call('volume.snapshot', { volume: 'db', name: 'two' });
  // The same writes in the same order, all of it here.
  await east.call('volume.snapshot', { volume: 'db', name: 'one' });
  await writeSecond(east);
  await east.call('volume.snapshot', { volume: 'db', name: 'two' });
  const lacked = (await west.volume('db')).status.missingBytes ?? 0;
  assert.ok(lacked > 0);
  for (const from of [{}, { from: 'one' }]) {
    const request = { volume: 'db', snapshot: 'two', ...from };
    const [there, here] = await Promise.all([
      east.call('volume.changed', request),
      west.call('volume.changed', request),
    ]);
    assert.deepEqual(here.status, there.status);
    assert.ok(here.status.ranges.length > 20);
  }
  // Names came, and at the most one block of data with each page of them.
  const { missingBytes: lacks } = (await west.volume('db')).status;
  assert.ok(lacks > 0 && lacked - lacks <= 16 * blockBytes, `${lacked} then ${lacks}`);
  await west.call('volume.delete-snapshot', { volume: 'db', name: 'one' });
  const request = { volume: 'db', snapshot: 'two', from: 'one' };
  assert.equal((await refusal(west.call('volume.changed', request))).reason, 'NotFound');
});
