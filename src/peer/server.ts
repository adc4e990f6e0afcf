/** Answers a peer's requests from a `PeerStore`: checked, bounded, demand before background. */
import { fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Metrics } from '../base/ports.ts';
import { sameName } from '../volume/name.ts';
import type { LeaseGrant, Name, PeerStore, StoredChunk } from '../volume/types.ts';
import {
  chunkWireBytes,
  decodeChunks,
  decodeNames,
  encodeChunk,
  encodeFlags,
} from './chunk-codec.ts';
import type { Lane } from './frame.ts';
import { decodeJson, encodeJson } from './json-fields.ts';
import {
  decodeGrantRequest,
  decodePathRequest,
  encodeGrant,
  encodeVolumes,
  type GrantRequest,
  operations,
} from './messages.ts';
import type { RateLimit } from './rate.ts';
import { type ReplicaService, serveReplica } from './replica/replica-server.ts';
import { type Answer, answering, type Handler, type Incoming } from './session.ts';

/** Names read from the store at a time: a frame's worth, so that little waits in memory. */
const sliceNames = 16;
/** Requests of one link that are worked on at a time; the rest queues. */
const activeMax: Readonly<Record<Lane, number>> = { demand: 32, background: 4 };

export interface ServerOptions {
  readonly store: PeerStore;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** The peer that asks. */
  readonly peerName: string;
  /** For what goes to this peer in the background. */
  readonly outgoing: RateLimit;
  readonly replicas?: ReplicaService;
}

/** One per peer: what must be remembered across its links. */
export interface PeerServer {
  /** A handler for one more link. */
  handler(): Handler;
}

export function createPeerServer(options: ServerOptions): PeerServer {
  const grants = new GrantMemory(options.clock);
  return {
    handler: () => {
      const desk = new Desk((incoming, answer) => serve({ options, grants, incoming, answer }));
      return (incoming, answer) => desk.take(incoming, answer);
    },
  };
}

interface Job {
  readonly incoming: Incoming;
  readonly answer: Answer;
}

/** The requests of one link, within its limits. */
class Desk {
  readonly #serve: (incoming: Incoming, answer: Answer) => Promise<void>;
  readonly #queues: Readonly<Record<Lane, Job[]>> = { demand: [], background: [] };
  readonly #active: Record<Lane, number> = { demand: 0, background: 0 };
  #requests = 0;
  #credit = 0;
  #bytes = 0;

  constructor(serve: (incoming: Incoming, answer: Answer) => Promise<void>) {
    this.#serve = serve;
  }

  take(incoming: Incoming, answer: Answer): void {
    const refused = this.#refusal(incoming);
    if (refused !== undefined) {
      answer.fail(new TransshipError('LimitExceeded', refused));
      return;
    }
    this.#requests++;
    this.#credit += incoming.credit;
    this.#bytes += incoming.payload.length;
    this.#queues[incoming.lane].push({ incoming, answer });
    this.#work(incoming.lane);
  }

  #refusal({ credit, payload }: Incoming): string | undefined {
    if (this.#requests >= limits.peerRequestsMax) {
      return `more than ${limits.peerRequestsMax} open requests on one link`;
    }
    if (this.#credit + credit > limits.peerCreditBytesMax) {
      return `more than ${limits.peerCreditBytesMax} bytes of open credit on one link`;
    }
    if (this.#bytes + payload.length > limits.peerRequestBytesMax) {
      return `more than ${limits.peerRequestBytesMax} bytes of open requests on one link`;
    }
    return undefined;
  }

  #work(lane: Lane): void {
    while (this.#active[lane] < activeMax[lane]) {
      const job = this.#queues[lane].shift();
      if (job === undefined) return;
      this.#active[lane]++;
      void this.#run(lane, job);
    }
  }

  async #run(lane: Lane, { incoming, answer }: Job): Promise<void> {
    if (!answer.abandoned) await answering(answer, () => this.#serve(incoming, answer));
    this.#active[lane]--;
    this.#requests--;
    this.#credit -= incoming.credit;
    this.#bytes -= incoming.payload.length;
    this.#work(lane);
  }
}

interface Service {
  readonly options: ServerOptions;
  readonly grants: GrantMemory;
  readonly incoming: Incoming;
  readonly answer: Answer;
}

function serve(service: Service): Promise<void> {
  switch (service.incoming.type) {
    case operations.volumes:
      return reply(service, encodeVolumes(service.options.store.listVolumes()));
    case operations.grant:
      return serveGrant(service);
    case operations.renew:
      return serveRenew(service);
    case operations.release:
      return serveRelease(service);
    case operations.read:
      return serveRead(service);
    case operations.pull:
      return servePull(service);
    case operations.have:
      return serveHave(service);
    case operations.push:
      return servePush(service);
    case operations.probe:
      return serveProbe(service);
    case operations.replicaWrite:
    case operations.replicaRead:
    case operations.replicaFlush:
    case operations.replicaState:
    case operations.replicaChange: {
      const { replicas } = service.options;
      if (replicas === undefined) fail('Unsupported', 'this agent keeps no replicas');
      return serveReplica(replicas, service.incoming, service.answer);
    }
    default:
      return fail('Unsupported', `operation ${service.incoming.type} is unknown to this agent`);
  }
}

function reply({ incoming, answer }: Service, payload: Uint8Array, argument = 0): Promise<void> {
  const bytesMax = Math.min(incoming.credit, limits.frameBytesMax);
  if (payload.length > bytesMax) {
    fail('LimitExceeded', `the answer has ${payload.length} bytes, ${bytesMax} may be sent`);
  }
  return answer.frame([payload], { last: true, argument });
}

async function serveGrant(service: Service): Promise<void> {
  const { store, peerName } = service.options;
  const request = decodeGrantRequest(service.incoming.payload);
  // The name before the slash is what this agent knows, not what the peer says.
  const said = request.holder.slice(request.holder.indexOf('/') + 1);
  const holder = `${peerName}/${said}`;
  // Older agents may send other keys: they get a name from here.
  const name = /^[0-9a-f]{32}$/.test(request.key) ? { leaseId: request.key } : {};
  const wanted = { ...request, ...name, holder };
  const grant = await service.grants.get(request, () => store.grantLease(wanted));
  await reply(service, encodeGrant(grant));
}

async function serveRenew(service: Service): Promise<void> {
  const fields = decodeJson(service.incoming.payload);
  const lifeMs = Math.min(fields.count('lifeMs'), limits.leaseMs);
  const { expiresMs } = await service.options.store.renewLease(fields.text('leaseId', 128), lifeMs);
  await reply(service, encodeJson({ expiresMs }));
}

async function serveRelease(service: Service): Promise<void> {
  const leaseId = decodeJson(service.incoming.payload).text('leaseId', 128);
  await service.options.store.releaseLease(leaseId);
  await reply(service, encodeJson({}));
}

async function serveHave(service: Service): Promise<void> {
  const names = decodeNames(service.incoming.payload, limits.haveNamesMax);
  await reply(service, encodeFlags(service.options.store.has(names)));
}

async function servePush(service: Service): Promise<void> {
  const { payload } = service.incoming;
  if (payload.length > limits.pushBytesMax) {
    fail('LimitExceeded', `a push of more than ${limits.pushBytesMax} bytes`);
  }
  const accepted = await service.options.store.push(decodeChunks(payload));
  await reply(service, encodeJson({ accepted }));
}

async function serveRead(service: Service): Promise<void> {
  const chunks = await service.options.store.readPath(decodePathRequest(service.incoming.payload));
  const bytes = chunks.reduce((sum, chunk) => sum + chunkWireBytes(chunk), 0);
  if (bytes > service.incoming.credit) {
    fail('LimitExceeded', `the path has ${bytes} bytes, the credit is ${service.incoming.credit}`);
  }
  const stream = new ChunkStream(service);
  for (const chunk of chunks) await stream.add(chunk);
  await stream.end(1);
}

async function servePull(service: Service): Promise<void> {
  const names = decodeNames(service.incoming.payload, limits.pullNamesMax);
  const stream = new ChunkStream(service);
  for (let first = 0; first < names.length; first += sliceNames) {
    const slice = names.slice(first, first + sliceNames);
    const chunks = await service.options.store.readStored(slice);
    if (service.answer.abandoned) return;
    const stopped = await sendSlice(stream, slice, chunks);
    if (stopped !== undefined) {
      await stream.end(first + stopped);
      return;
    }
  }
  await stream.end(names.length);
}

/** Position in the slice of the first name that no longer fits the credit, if any. */
async function sendSlice(
  stream: ChunkStream,
  slice: readonly Name[],
  chunks: readonly StoredChunk[],
): Promise<number | undefined> {
  let position = 0;
  for (const chunk of chunks) {
    while (position < slice.length && !sameName(slice[position]!, chunk.name)) position++;
    if (!stream.fits(chunk)) return position;
    await stream.add(chunk);
    position++;
  }
  return undefined;
}

/** Chunks of one reply, gathered into frames. */
class ChunkStream {
  readonly #service: Service;
  #parts: Uint8Array[] = [];
  #frameBytes = 0;
  #sentBytes = 0;

  constructor(service: Service) {
    this.#service = service;
  }

  fits(chunk: StoredChunk): boolean {
    const bytes = this.#sentBytes + chunkWireBytes(chunk);
    return this.#sentBytes === 0 || bytes <= this.#service.incoming.credit;
  }

  async add(chunk: StoredChunk): Promise<void> {
    encodeChunk(chunk, this.#parts);
    const bytes = chunkWireBytes(chunk);
    this.#sentBytes += bytes;
    this.#frameBytes += bytes;
    if (this.#frameBytes >= limits.frameBytesTarget) await this.#flush({ last: false });
  }

  end(argument: number): Promise<void> {
    return this.#flush({ last: true, argument });
  }

  async #flush(end: { readonly last: boolean; readonly argument?: number }): Promise<void> {
    const { options, incoming, answer } = this.#service;
    const parts = this.#parts;
    const bytes = this.#frameBytes;
    this.#parts = [];
    this.#frameBytes = 0;
    if (incoming.lane === 'background' && bytes > 0) await options.outgoing.take(bytes);
    const labels = { lane: incoming.lane };
    options.metrics.add('transship_teleport_sent_bytes_total', bytes, labels);
    await answer.frame(parts, end);
  }
}

async function serveProbe({ options, incoming, answer }: Service): Promise<void> {
  const bytes = decodeJson(incoming.payload).count('bytes');
  if (bytes > Math.min(incoming.credit, limits.probeBytesMax)) {
    fail('LimitExceeded', `a probe of ${bytes} bytes`);
  }
  const noise = makeNoise();
  let left = bytes;
  do {
    const part = noise.subarray(0, Math.min(left, noise.length));
    left -= part.length;
    if (incoming.lane === 'background') await options.outgoing.take(part.length);
    await answer.frame([part], { last: left === 0 });
  } while (left > 0 && !answer.abandoned);
}

/** Bytes without structure, so that nothing on the way can compress them. */
function makeNoise(): Uint8Array {
  const words = new Uint32Array(limits.frameBytesTarget / 4);
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}

/** Grants by their keys, so that one asked for again after a lost reply is not a second lease. */
class GrantMemory {
  readonly #clock: Clock;
  readonly #grants = new Map<
    string,
    { readonly atMs: number; readonly grant: Promise<LeaseGrant> }
  >();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(request: GrantRequest, make: () => Promise<LeaseGrant>): Promise<LeaseGrant> {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { atMs }] of this.#grants) {
      if (nowMs - atMs <= limits.grantMemoryMs && this.#grants.size < limits.peerRequestsMax) break;
      this.#grants.delete(key);
    }
    const known = this.#grants.get(request.key);
    if (known !== undefined) return known.grant;
    const grant = make();
    this.#grants.set(request.key, { atMs: nowMs, grant });
    // A refusal is not remembered: asked again it may be granted.
    grant.catch(() => this.#grants.delete(request.key));
    return grant;
  }
}
