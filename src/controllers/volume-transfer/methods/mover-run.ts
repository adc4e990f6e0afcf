/**
 * A copy by a server pod at the destination and a client pod at the source, as a transfer method:
 * looks at what is there, and makes the next thing. All names follow from the transfer's uid, so
 * that whoever comes after a crash finds everything; what pods forget is kept in the client's
 * Secret.
 */
import { asTransshipError } from '../../../base/errors.ts';
import { isReason } from '../../../base/reasons.ts';
import { parseRate } from '../../../base/units.ts';
import type { Undoing } from '../../../flow/step.ts';
import type { Secret } from '../../../kube/resources.ts';
import type { Pod } from '../../../kube/workloads.ts';
import type { Advance, Transfer, TransferMethod, TransferNumbers } from '../method.ts';
import { discardClaim, ensureClaim, settleClaim } from './mover-claim.ts';
import { type ClientNews, type Endpoint, type MoverWork } from './mover-job.ts';
import {
  deletePod,
  endText,
  isOver,
  lastLogAt,
  makePod,
  placeFor,
  podAt,
  serverLogAt,
  type Trouble,
  troubleOf,
} from './mover-pods.ts';
import {
  endpointBy,
  removeService,
  roundsOf,
  routeNow,
  routeWords,
  triedText,
  waysTo,
} from './mover-route.ts';
import {
  makeSecrets,
  matchingSecrets,
  type MoverMemory,
  memoryOf,
  remember,
  removeSecrets,
  secretAt,
  textIn,
} from './mover-secrets.ts';
import { ownershipFor, ownersWarning } from './mover-users.ts';

/** So often are pods made again that ended without saying why, or lost the server. */
export const runsMax = 20;

export function moverMethod(work: MoverWork): TransferMethod {
  return {
    advance: (transfer) => new MoverRun(transfer, work).advance(),
    clean,
    discard: discardClaim,
  };
}

/** A method that could not say yet what it has counted. */
const noNumbers: TransferNumbers = {};

class MoverRun {
  readonly #transfer: Transfer;
  readonly #work: MoverWork;

  constructor(transfer: Transfer, work: MoverWork) {
    this.#transfer = transfer;
    this.#work = work;
  }

  async advance(): Promise<Advance> {
    const client = await podAt(this.#transfer, 'client');
    return client === undefined ? this.#prepare() : this.#follow(client);
  }

  get #isPaused(): boolean {
    return this.#transfer.object.spec.paused === true;
  }

  async #follow(pod: Pod): Promise<Advance> {
    const transfer = this.#transfer;
    if (pod.metadata.deletionTimestamp !== undefined) {
      return running(this.#isPaused ? 'paused' : 'the pod at the source is ending');
    }
    const secret = await secretAt(transfer, 'client');
    const before = memoryOf(secret);
    const news = this.#work.newsFrom(await lastLogAt(transfer, 'client'), pod);
    const memory = { ...before, reached: before.reached || news.reached };
    const numbers = this.#numbersOf(news, memory);
    if (news.end?.kind === 'done') return this.#finish(news, numbers, memory);
    if (news.end?.kind === 'failed' || isOver(pod)) {
      return this.#afterEnd(pod, { news, numbers, memory });
    }
    if (this.#isPaused) {
      // What has arrived stays, and is not sent again.
      await deletePod(transfer, 'client', pod);
      return running('paused', numbers);
    }
    if (memory.reached && !before.reached) await remember(transfer, memory);
    if (news.unreachable !== undefined) {
      return this.#unreachable(pod, { news, numbers, memory }, news.unreachable);
    }
    const trouble = news.reached ? undefined : troubleOf(pod);
    if (trouble !== undefined) return { kind: 'waiting', ...trouble, numbers };
    await this.#tune(secret, memory);
    return running(news.message, numbers);
  }

  #numbersOf(news: ClientNews, memory: MoverMemory): TransferNumbers {
    const { endpoint, route } = memory;
    const way =
      endpoint === undefined || route === undefined
        ? {}
        : { route: `${routeWords[route]}, ${endpoint.host}:${endpoint.port}` };
    const attempts = Math.max(1, memory.runs) + news.attempts - 1;
    return { ...news.numbers, ...way, attempts };
  }

  /** A rate that changed holds from the next attempt on: the client reads its file before each. */
  async #tune(secret: Secret | undefined, memory: MoverMemory): Promise<void> {
    const { endpoint, ownership } = memory;
    if (endpoint === undefined) return;
    const files = this.#work.clientFiles(this.#transfer, endpoint, ownership);
    const isSame = Object.entries(files).every(([name, text]) => textIn(secret, name) === text);
    if (!isSame) await remember(this.#transfer, memory, files);
  }

  async #finish(
    news: ClientNews,
    numbers: TransferNumbers,
    { ownership }: MoverMemory,
  ): Promise<Advance> {
    if (news.end?.kind !== 'done') return running(news.message, numbers);
    const volume = await settleClaim(this.#transfer);
    const owners = ownership === 'Mover' ? [ownersWarning] : [];
    const warnings = [...news.end.warnings, ...owners];
    const isLast = this.#transfer.object.spec.pass === 'Last';
    const verified = isLast ? { verified: news.end.verified } : {};
    return { kind: 'succeeded', volume, numbers, warnings, ...verified };
  }

  async #afterEnd(pod: Pod, { news, numbers, memory }: Known): Promise<Advance> {
    const end = news.end?.kind === 'failed' ? news.end : undefined;
    if (end?.reason === 'SourceUnreachable' && !memory.reached) {
      return this.#nextRoute(pod, memory, end.message);
    }
    const wasStopped = end === undefined || end.reason === 'Canceled' || end.reason === 'Stopping';
    const isLost = end?.reason === 'SourceUnreachable' || end?.reason === 'InUse';
    if ((wasStopped || isLost) && memory.runs < runsMax) {
      await deletePod(this.#transfer, 'client', pod);
      const message = this.#isPaused ? 'paused' : 'the pod at the source is made again';
      return running(`${message}: ${end?.message ?? endText(pod)}`, numbers);
    }
    if (end === undefined) {
      const message = `${endText(pod)}, ${memory.runs} times, without saying why`;
      return { kind: 'failed', reason: 'Stopping', message, numbers };
    }
    const reason = isReason(end.reason) ? end.reason : 'Internal';
    return { kind: 'failed', reason, message: `${end.message}; ${end.remedy}`, numbers };
  }

  /** The server may be another one by now; else, if nothing ever came through, another way. */
  async #unreachable(pod: Pod, { news, numbers, memory }: Known, why: string): Promise<Advance> {
    const server = await this.#server();
    const isMoved = server.kind !== 'ready' || !(await this.#isAt(server, memory));
    if (isMoved) {
      await deletePod(this.#transfer, 'client', pod);
      return running('the server at the destination is another one by now', numbers);
    }
    if (!memory.reached) return this.#nextRoute(pod, memory, why);
    return running(news.message, numbers);
  }

  async #isAt(server: Ready, { endpoint, route }: MoverMemory): Promise<boolean> {
    if (route === undefined || endpoint === undefined) return false;
    const now = await endpointBy(this.#transfer, route, server);
    if (now.kind !== 'endpoint') return false;
    return now.endpoint.host === endpoint.host && now.endpoint.port === endpoint.port;
  }

  async #nextRoute(pod: Pod | undefined, memory: MoverMemory, why: string): Promise<Advance> {
    const transfer = this.#transfer;
    const ways = await waysTo(transfer);
    const route = routeNow(memory, ways, roundsOf(transfer));
    const tried = [...memory.tried, { route: route ?? 'Pod', message: why }];
    const next = routeNow({ tried }, ways, roundsOf(transfer));
    await remember(transfer, { ...memory, tried });
    if (next === undefined) {
      const message = triedText({ tried });
      return { kind: 'failed', reason: 'SourceUnreachable', message, numbers: noNumbers };
    }
    if (pod !== undefined) await deletePod(transfer, 'client', pod);
    return running(`${why}; tried next: ${routeWords[next]}`);
  }

  /** Everything that a client needs, one after the other, and the client. */
  async #prepare(): Promise<Advance> {
    const transfer = this.#transfer;
    if (this.#isPaused) return running('paused');
    await ensureClaim(transfer, this.#work.volumeMode);
    const secret = await matchingSecrets(transfer);
    if (secret === undefined || memoryOf(secret).spent === true) return this.#renewSecrets();
    const server = await this.#server();
    if (server.kind === 'blocked')
      return { ...server.trouble, kind: 'waiting', numbers: noNumbers };
    if (server.kind === 'coming') return running(server.message);
    const memory = memoryOf(secret);
    const ways = await waysTo(transfer);
    const route = routeNow(memory, ways, roundsOf(transfer));
    if (route === undefined) {
      const message = triedText(memory);
      return { kind: 'failed', reason: 'SourceUnreachable', message, numbers: noNumbers };
    }
    const reached = await endpointBy(transfer, route, server);
    if (reached.kind === 'pending') return running(`${routeWords[route]}: ${reached.message}`);
    if (reached.kind === 'none') return this.#nextRoute(undefined, memory, reached.message);
    return this.#startClient({ ...memory, route, endpoint: reached.endpoint }, reached.endpoint);
  }

  /**
   * Certificates fit those of the other side, and no client had them before, or both are made anew,
   * for pods that are, too: a client that comes back from a node that was lost is let in nowhere.
   */
  async #renewSecrets(): Promise<Advance> {
    const server = await podAt(this.#transfer, 'server');
    if (server !== undefined) {
      await deletePod(this.#transfer, 'server', server);
      return running('the server at the destination is ending: its certificate is of no use');
    }
    await makeSecrets(this.#transfer, this.#work);
    return running('the certificates of this transfer are made');
  }

  async #startClient(memory: MoverMemory, endpoint: Endpoint): Promise<Advance> {
    const transfer = this.#transfer;
    const place = await placeFor(transfer, 'client', this.#work);
    if (place.image === undefined) return { ...place, kind: 'waiting', numbers: noNumbers };
    const ownership = await ownershipFor(transfer);
    const told = { ...memory, ownership, runs: memory.runs + 1, spent: true };
    await remember(transfer, told, this.#work.clientFiles(transfer, endpoint, ownership));
    const pod = this.#work.clientPod(transfer, place, endpoint);
    const trouble = await makePod(transfer, 'client', pod);
    if (trouble !== undefined) {
      await remember(transfer, memory);
      return { ...trouble, kind: 'waiting', numbers: noNumbers };
    }
    return running('the pod at the source is made');
  }

  async #server(): Promise<ServerState> {
    const transfer = this.#transfer;
    const pod = await podAt(transfer, 'server');
    if (pod === undefined) {
      const place = await placeFor(transfer, 'server', this.#work);
      if (place.image === undefined) return { kind: 'blocked', trouble: place };
      const made = this.#work.serverPod(transfer, place);
      const trouble = await makePod(transfer, 'server', made);
      if (trouble !== undefined) return { kind: 'blocked', trouble };
      return { kind: 'coming', message: 'the pod at the destination is made' };
    }
    if (pod.metadata.deletionTimestamp !== undefined || isOver(pod)) {
      await deletePod(transfer, 'server', pod);
      return { kind: 'coming', message: 'the pod at the destination is ending' };
    }
    const trouble = troubleOf(pod);
    if (trouble !== undefined) return { kind: 'blocked', trouble };
    const port = this.#work.portFrom(await serverLogAt(transfer));
    if (port === undefined) return { kind: 'coming', message: 'the pod at the destination starts' };
    return { kind: 'ready', pod, port };
  }
}

interface Known {
  readonly news: ClientNews;
  readonly numbers: TransferNumbers;
  readonly memory: MoverMemory;
}

interface Ready {
  readonly kind: 'ready';
  readonly pod: Pod;
  readonly port: number;
}

type ServerState =
  | Ready
  | { readonly kind: 'coming'; readonly message: string }
  | { readonly kind: 'blocked'; readonly trouble: Trouble };

function running(message: string, numbers: TransferNumbers = noNumbers): Advance {
  return { kind: 'running', message, numbers };
}

/** The client first: it has no use for a server that is gone. */
async function clean(transfer: Transfer): Promise<Undoing> {
  for (const side of ['client', 'server'] as const) {
    const pod = await podAt(transfer, side);
    if (pod === undefined) continue;
    await deletePod(transfer, side, pod);
    const where = side === 'client' ? 'source' : 'destination';
    return { kind: 'running', message: `the pod at the ${where} is ending` };
  }
  await removeService(transfer);
  await removeSecrets(transfer);
  return { kind: 'done' };
}

/** Bytes a second of the spec, as movers are told; undefined: no limit. */
export function rateOf({ object }: Transfer): number | undefined {
  const { bandwidth } = object.spec;
  if (bandwidth === undefined) return undefined;
  try {
    return parseRate(bandwidth);
  } catch (error) {
    throw asTransshipError(error);
  }
}
