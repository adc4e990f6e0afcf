// Becoming accessible costs the same for every size, and one exchange whatever the distance.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NbdClient } from '../../../src/nbd/client.ts';
import { type Agent, startCloud } from '../cloud.ts';
import { noise } from '../content.ts';

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;
const tebibyte = 1024 * gibibyte;
/** One way: the round trip is twice that. */
const delayMs = 25;
/** What a grant may cost on the wire, however large the volume: TLS, names, recent use. */
const wireBytesMax = 48 * 1024;

/** Data in 1 MiB pieces all over the volume. Few pieces differ: this is about the tree. */
async function scatter(client: NbdClient, dataBytes: number): Promise<void> {
  const pieces = dataBytes / mebibyte;
  const stride = Math.floor(client.sizeBytes / pieces / mebibyte) * mebibyte;
  const contents = Array.from({ length: 16 }, (_, i) => noise(i, mebibyte));
  const running: Promise<void>[] = [];
  for (let i = 0; i < pieces; i += 1) {
    const content = Buffer.from(contents[i % contents.length]!);
    content.writeUInt32LE(i, 0);
    running.push(client.write(content, i * stride));
    if (running.length >= 8) await running.shift();
  }
  await Promise.all(running);
  await client.flush();
}

interface Measured {
  readonly ms: number;
  readonly wireBytes: number;
}

test('16 TiB with 2 GiB of data is accessible like 1 GiB, 50 ms away', async (t) => {
  await using cloud = await startCloud(['east', 'west'], { relays: true, delayMs });
  const east = cloud.agent('east');
  const west = cloud.agent('west');
  await fill(east, 'small', gibibyte, 256 * mebibyte);
  await fill(east, 'large', 16 * tebibyte, 2 * gibibyte);
  const wire = () => east.relay!.bytes() + west.relay!.bytes();
  const measured = new Map<string, Measured[]>();
  for (const round of [1, 2, 3, 4, 5]) {
    for (const volume of ['small', 'large']) {
      const before = wire();
      const name = `${volume}-${round}`;
      const made = await west.call('teleport.start', { cluster: 'east', volume, name, thin: true });
      const ms = made.status.accessibleAfterMs!;
      const seen = { ms, wireBytes: wire() - before };
      measured.set(volume, [...(measured.get(volume) ?? []), seen]);
      assert.ok(seen.wireBytes < wireBytesMax, `${volume}: ${seen.wireBytes} bytes on the wire`);
    }
  }
  const middle = (volume: string) =>
    measured
      .get(volume)!
      .map(({ ms }) => ms)
      .toSorted(by)[2]!;
  const [small, large] = [middle('small'), middle('large')];
  t.diagnostic(`accessible after ${small} ms (1 GiB), ${large} ms (16 TiB), ${large / small} x`);
  // A cold read at the far end of either: the whole way down the tree is one answer.
  for (const volume of ['small-1', 'large-1']) await readLast(east, west, volume);
});

const by = (a: number, b: number): number => a - b;

async function fill(
  agent: Agent,
  volume: string,
  sizeBytes: number,
  dataBytes: number,
): Promise<void> {
  await agent.create(volume, sizeBytes);
  using client = await agent.connect(volume);
  await scatter(client, dataBytes);
  // As it is in life: most of it settled long ago.
  await agent.call('volume.snapshot', { volume, name: 'filled' });
}

async function readLast(east: Agent, west: Agent, volume: string): Promise<void> {
  using source = await east.connect(volume.replace(/-\d$/, ''));
  using arrived = await west.connect(volume);
  const pieces = (source.sizeBytes > tebibyte ? 2 * gibibyte : 256 * mebibyte) / mebibyte;
  const stride = Math.floor(source.sizeBytes / pieces / mebibyte) * mebibyte;
  const [there, here] = [Buffer.alloc(65_536), Buffer.alloc(65_536)];
  const requests = await west.metric('transship_demand_read_seconds_count');
  await arrived.read(here, (pieces - 1) * stride);
  await source.read(there, (pieces - 1) * stride);
  assert.ok(here.equals(there));
  const asked = (await west.metric('transship_demand_read_seconds_count')) - requests;
  assert.equal(asked, 1, 'requests for one cold read');
}
