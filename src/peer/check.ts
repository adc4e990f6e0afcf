/** How good the way to a peer is, measured with real bytes (design rule 8 of every move). */
import { limits } from '../base/limits.ts';
import { encodeJson } from './json-fields.ts';
import { operations } from './messages.ts';
import { askInTime, type Channel } from './channel.ts';
import { decodePing } from './session.ts';

export interface PeerCheck {
  readonly roundTripMs: number;
  /** Of one link, background lane and its limits included. */
  readonly bytesPerSecond: number;
  readonly probeBytes: number;
  readonly protocol: number;
  readonly agentVersion: string;
  /** Their wall clock minus ours; about half a round trip uncertain. */
  readonly clockDifferenceMs: number;
  readonly links: number;
}

const pings = 5;
/** A first small probe tells how large the real one may be to take about a second. */
const firstProbeBytes = 512 * 1024;
const probeSeconds = 1;

/** `SourceUnreachable` when no link comes up in time. */
export async function checkPeer(
  channel: Channel,
  options: { readonly probeBytes?: number },
): Promise<PeerCheck> {
  const measured = [];
  for (let i = 0; i < pings; i++) measured.push(await measureClock(channel));
  const best = measured.toSorted((a, b) => a.roundTripMs - b.roundTripMs)[0]!;
  channel.window.measured(best.roundTripMs);
  let probe = await measureRate(channel, options.probeBytes ?? firstProbeBytes);
  if (options.probeBytes === undefined) {
    const bytes = Math.floor(probe.bytesPerSecond * probeSeconds);
    const probeBytes = Math.max(firstProbeBytes, Math.min(bytes, limits.probeBytesMax));
    probe = await measureRate(channel, probeBytes);
  }
  const { greeted, openLinks } = channel.pool;
  return {
    ...best,
    ...probe,
    protocol: greeted?.version ?? 0,
    agentVersion: greeted?.hello.agentVersion ?? 'unknown',
    links: openLinks,
  };
}

async function measureClock(
  channel: Channel,
): Promise<{ readonly roundTripMs: number; readonly clockDifferenceMs: number }> {
  const { clock } = channel;
  const startMs = clock.monotonicMs();
  const call = { type: operations.ping, payload: [new Uint8Array(0)], credit: 1024 };
  const theirMs = decodePing(await askInTime(channel, call));
  const roundTripMs = clock.monotonicMs() - startMs;
  return { roundTripMs, clockDifferenceMs: theirMs - (clock.wallMs() - roundTripMs / 2) };
}

async function measureRate(
  channel: Channel,
  bytes: number,
): Promise<{ readonly bytesPerSecond: number; readonly probeBytes: number }> {
  const { pool, clock, window, closing } = channel;
  await window.acquire(bytes, closing);
  const startMs = clock.monotonicMs();
  try {
    const payload = [encodeJson({ bytes })];
    const type = operations.probe;
    await pool.call({ type, lane: 'background', payload, credit: bytes, signal: closing });
  } finally {
    window.release(bytes, bytes);
  }
  const seconds = Math.max(clock.monotonicMs() - startMs, 0.01) / 1000;
  return { bytesPerSecond: bytes / seconds, probeBytes: bytes };
}
