/** A peer as the place where a volume's missing chunks come from. */
import { TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { sameName } from '../volume/name.ts';
import {
  type ChunkSource,
  type Name,
  nameBytes,
  type PathRequest,
  type StoredChunk,
} from '../volume/types.ts';
import {
  chunkHeadBytes,
  chunkWireBytes,
  chunkWireBytesMax,
  decodeChunks,
  encodeNames,
} from './chunk-codec.ts';
import type { Lane } from './frame.ts';
import { encodePathRequest, operations } from './messages.ts';
import { askInTime, type Channel } from './channel.ts';
import { LinkLost, type Reply } from './session.ts';

export interface SourceOptions {
  /** The lease that keeps the chunks there. With it, chunks that are gone mean `SourceGone`. */
  readonly leaseId?: string;
}

/**
 * Chunks come as the peer sent them: `Packer.unpack` must verify them before use. Each is a view
 * into the frame it came in (256 KiB), so keep decompressed content, not these bytes.
 */
export interface PeerSource extends ChunkSource {
  /** All that waits rejects with `Canceled`, also background calls that wait for the link. */
  close(): void;
}

/** A background request is for about this much, so that the links share the work. */
const pieceBytes = 1024 * 1024;
const pieceNamesMax = 256;
const demandNamesMax = 128;
/** How much the expected size of a chunk follows the last ones. */
const learning = 0.2;
/** Absent chunks make us ask whether the lease still holds, at most this often. */
const leaseCheckMs = 10_000;

export function createPeerSource(
  channel: Channel,
  renew: (leaseId: string) => Promise<unknown>,
  options: SourceOptions,
): PeerSource {
  return new ChannelSource(channel, renew, options.leaseId);
}

class ChannelSource implements PeerSource {
  readonly #channel: Channel;
  readonly #renew: (leaseId: string) => Promise<unknown>;
  readonly #leaseId: string | undefined;
  readonly #closer = new AbortController();
  #checkedMs = Number.NEGATIVE_INFINITY;
  #gone: TransshipError | undefined;

  constructor(
    channel: Channel,
    renew: (leaseId: string) => Promise<unknown>,
    leaseId: string | undefined,
  ) {
    this.#channel = channel;
    this.#renew = renew;
    this.#leaseId = leaseId;
    const follow = () => this.#closer.abort(channel.closing.reason);
    const { signal } = this.#closer;
    if (channel.closing.aborted) follow();
    else channel.closing.addEventListener('abort', follow, { once: true, signal });
  }

  close(): void {
    const { name } = this.#channel;
    this.#closer.abort(new TransshipError('Canceled', `fetching from ${name} was cancelled`));
  }

  async readPath(request: PathRequest): Promise<readonly StoredChunk[]> {
    const payload = encodePathRequest(request);
    const credit = pathCredit(request);
    const reply = await this.#demand({ type: operations.read, payload: [payload], credit });
    const chunks = reply.payloads.flatMap((part) => decodeChunks(part));
    this.#received(chunks, 'demand');
    // Blocks may be holes, pages may be shared: only an empty answer is suspicious.
    if (chunks.length === 0) await this.#checkLease();
    return chunks;
  }

  async pull(
    names: readonly Name[],
    lane: Lane,
    signal?: AbortSignal,
  ): Promise<readonly StoredChunk[]> {
    const { signal: closed } = this.#closer;
    const ending = signal === undefined ? closed : AbortSignal.any([closed, signal]);
    if (this.#gone !== undefined) throw this.#gone;
    const { chunkBytes } = this.#channel;
    const expected = Math.floor(pieceBytes / chunkBytes);
    const size =
      lane === 'demand' ? demandNamesMax : Math.max(4, Math.min(expected, pieceNamesMax));
    const pieces: Promise<StoredChunk[]>[] = [];
    for (let first = 0; first < names.length; first += size) {
      pieces.push(this.#pullPiece(names.slice(first, first + size), lane, ending));
    }
    const chunks = (await Promise.all(pieces)).flat();
    if (chunks.length < names.length) await this.#checkLease();
    return chunks;
  }

  /** Until every name was dealt with; what a dying link had delivered is not asked for again. */
  async #pullPiece(
    names: readonly Name[],
    lane: Lane,
    ending: AbortSignal,
  ): Promise<StoredChunk[]> {
    const chunks: StoredChunk[] = [];
    let done = 0;
    let span = names.length;
    while (done < names.length) {
      const rest = names.slice(done, done + span);
      const part = await (lane === 'demand' ? this.#pullNow(rest) : this.#pullBehind(rest, ending));
      const { found, passed } = inOrder(rest, part.chunks);
      this.#received(found, lane);
      chunks.push(...found);
      done += part.done ?? passed;
      // Links that die before one large frame is through get smaller ones, until some get through.
      const isStuck = part.done === undefined && passed === 0;
      span = isStuck ? Math.max(1, Math.floor(span / 2)) : span * 2;
    }
    return chunks;
  }

  async #pullNow(names: readonly Name[]): Promise<Part> {
    const payload = [encodeNames(names)];
    const credit = names.length * chunkWireBytesMax;
    return partOf(await this.#demand({ type: operations.pull, payload, credit }), names.length);
  }

  async #pullBehind(names: readonly Name[], signal: AbortSignal): Promise<Part> {
    const { pool, window, incoming, chunkBytes } = this.#channel;
    const expected = Math.ceil(names.length * chunkBytes);
    const credit = Math.ceil(expected * 1.25) + chunkWireBytesMax;
    await window.acquire(credit, signal);
    let receivedBytes = 0;
    let takenBytes = 0;
    try {
      await incoming.take(expected, signal);
      takenBytes = expected;
      const call = { type: operations.pull, lane: 'background' as const, credit, signal };
      const payload = [encodeNames(names)];
      const part = await pool.call({ ...call, payload, retries: 'caller' }).then(
        (reply) => partOf(reply, names.length),
        (error: unknown) => lostPart(error),
      );
      receivedBytes = part.chunks.reduce((sum, chunk) => sum + chunkWireBytes(chunk), 0);
      return part;
    } finally {
      window.release(credit, receivedBytes);
      incoming.giveBack(takenBytes - receivedBytes);
    }
  }

  async #demand(call: {
    type: number;
    payload: readonly Uint8Array[];
    credit: number;
  }): Promise<Reply> {
    if (this.#gone !== undefined) throw this.#gone;
    const { clock, metrics } = this.#channel;
    const startMs = clock.monotonicMs();
    const reply = await askInTime(this.#channel, call, this.#closer.signal);
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    metrics.observe('transship_demand_read_seconds', seconds);
    return reply;
  }

  #received(chunks: readonly StoredChunk[], lane: Lane): void {
    if (chunks.length === 0) return;
    const bytes = chunks.reduce((sum, chunk) => sum + chunkWireBytes(chunk), 0);
    this.#channel.metrics.add('transship_teleport_received_bytes_total', bytes, { lane });
    const mean = bytes / chunks.length;
    this.#channel.chunkBytes += (mean - this.#channel.chunkBytes) * learning;
  }

  /** Chunks are absent: is one bad at the source, or did the source let go of all of them? */
  async #checkLease(): Promise<void> {
    const nowMs = this.#channel.clock.monotonicMs();
    if (this.#leaseId === undefined || nowMs - this.#checkedMs < leaseCheckMs) return;
    this.#checkedMs = nowMs;
    try {
      await this.#renew(this.#leaseId);
    } catch (error) {
      if (!(error instanceof TransshipError) || error.reason !== 'NotFound') return;
      const text = `${this.#channel.name} no longer keeps the data: the lease ended`;
      this.#gone = new TransshipError('SourceGone', text, { cause: error });
      throw this.#gone;
    }
  }
}

interface Part {
  readonly chunks: readonly StoredChunk[];
  /** Names dealt with; undefined when the reply broke off, then the last chunk tells. */
  readonly done: number | undefined;
}

function partOf(reply: Reply, asked: number): Part {
  const chunks = reply.payloads.flatMap((payload) => decodeChunks(payload));
  const done = reply.argument;
  if (done < 1 || done > asked) {
    throw new TransshipError('ProtocolError', `a pull of ${asked} names that dealt with ${done}`);
  }
  return { chunks, done };
}

function lostPart(error: unknown): Part {
  if (!(error instanceof LinkLost)) throw error;
  return { chunks: error.payloads.flatMap((payload) => decodeChunks(payload)), done: undefined };
}

/** The chunks that were asked for, and how many names they get us past; others are dropped. */
function inOrder(
  names: readonly Name[],
  chunks: readonly StoredChunk[],
): { readonly found: StoredChunk[]; readonly passed: number } {
  const found: StoredChunk[] = [];
  let passed = 0;
  for (const chunk of chunks) {
    let at = passed;
    while (at < names.length && !sameName(names[at]!, chunk.name)) at++;
    if (at === names.length) continue;
    found.push(chunk);
    passed = at + 1;
  }
  return { found, passed };
}

/** The most a path can take: at every level the pages over the range, then its blocks. */
function pathCredit(request: PathRequest): number {
  const { sizeBytes, blockBytes, blockCount } = request;
  const pageWireBytes = chunkHeadBytes + limits.pageNames * nameBytes;
  let bytes = blockCount * (chunkHeadBytes + blockBytes);
  let covered = 1;
  const blocks = Math.ceil(sizeBytes / blockBytes);
  do {
    covered *= limits.pageNames;
    bytes += (Math.ceil(blockCount / covered) + 1) * pageWireBytes;
  } while (covered < blocks);
  return bytes;
}
