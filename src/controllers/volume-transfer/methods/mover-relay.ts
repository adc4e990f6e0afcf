/**
 * The method Filesystem where there is no direct way: a pod at the source saves the volume in the
 * Repository of the transfer, and when it is done a pod at the destination restores it. What pods
 * forget is kept in the client's Secret, as it is for direct copies.
 */
import { isReason } from '../../../base/reasons.ts';
import { parseMoverMessage } from '../../../files/mover-messages.ts';
import { resticConfigText, resticPod, type ResticWork } from '../../../files/restic-pods.ts';
import type { Pod } from '../../../kube/workloads.ts';
import { annotations } from '../../labels.ts';
import { uidOf } from '../marks.ts';
import type { Advance, Transfer, TransferMethod, TransferNumbers } from '../method.ts';
import { ensureClaim, settleClaim } from './mover-claim.ts';
import {
  claimAt,
  type ClientEnd,
  type ClientNews,
  keyAt,
  type MoverWork,
  podOptionsOf,
  type SideName,
} from './mover-job.ts';
import { filesNews } from './mover-news.ts';
import {
  deletePod,
  endText,
  isOver,
  lastLogAt,
  makePod,
  placeFor,
  podAt,
  troubleOf,
} from './mover-pods.ts';
import { openRepository, repositoryOf } from './mover-repository.ts';
import { rateOf, runsMax } from './mover-run.ts';
import {
  type MoverMemory,
  memoryOf,
  noMemory,
  putSecret,
  type RelayMemory,
  remember,
  secretAt,
} from './mover-secrets.ts';
import { ownershipFor, ownersWarning } from './mover-users.ts';

/** The direct way first; through the repository of the transfer when there is none. */
export function relayed(direct: TransferMethod, work: MoverWork): TransferMethod {
  return {
    ...direct,
    advance: async (transfer) => {
      const { repository } = transfer.object.spec;
      if (repository === undefined) return direct.advance(transfer);
      const secret = await secretAt(transfer, 'client');
      const memory = memoryOf(secret);
      const { relay } = memory;
      if (relay !== undefined) return new Relay(transfer, work, { ...memory, relay }).advance();
      if (secret === undefined && hasNoDirectWay(transfer)) {
        return begin(transfer, memory, `Repository ${repository} is the only way`);
      }
      const news = await direct.advance(transfer);
      const isWithoutWay = news.kind === 'failed' && news.reason === 'SourceUnreachable';
      if (!isWithoutWay) return news;
      return begin(transfer, memoryOf(await secretAt(transfer, 'client')), news.message);
    },
  };
}

const routeOf = ({ object }: Transfer): string => `repository ${object.spec.repository} (restic)`;

/** What another copy found out long ago may be otherwise by now. */
const foundMs = 24 * 3600_000;

/** Somebody says so, or another volume of the same clusters has found out. */
function hasNoDirectWay(transfer: Transfer): boolean {
  const mark = repositoryOf(transfer)?.metadata.annotations?.[annotations.noDirectWay];
  if (mark === 'true') return true;
  const { source, destination } = transfer.object.spec;
  const sinceMs = transfer.context.ports.clock.wallMs() - foundMs;
  return [...transfer.context.informers.volumeTransfers.list()].some(
    ({ metadata, spec, status }) =>
      Date.parse(metadata.creationTimestamp ?? '') > sinceMs &&
      spec.source.cluster === source.cluster &&
      spec.destination.cluster === destination.cluster &&
      status?.route === routeOf(transfer),
  );
}

async function begin(transfer: Transfer, memory: MoverMemory, why: string): Promise<Advance> {
  // Nothing is begun that cannot be gone on with.
  await openRepository(transfer);
  const relay: RelayMemory = { why, backups: 0, restores: 0 };
  const notes = { [annotations.moverMemory]: JSON.stringify({ ...noMemory, ...memory, relay }) };
  await putSecret(transfer, 'client', { files: {}, notes });
  const message = `goes through ${routeOf(transfer)}: ${why}`;
  return { kind: 'running', message, numbers: { route: routeOf(transfer) } };
}

interface Half {
  readonly work: ResticWork;
  readonly side: SideName;
  readonly other: SideName;
  readonly where: 'source' | 'destination';
  readonly runs: number;
}

class Relay {
  readonly #transfer: Transfer;
  readonly #work: MoverWork;
  readonly #memory: MoverMemory & { readonly relay: RelayMemory };
  readonly #half: Half;

  constructor(
    transfer: Transfer,
    work: MoverWork,
    memory: MoverMemory & { readonly relay: RelayMemory },
  ) {
    this.#transfer = transfer;
    this.#work = work;
    this.#memory = memory;
    const { saved, backups, restores } = memory.relay;
    this.#half =
      saved === undefined
        ? { work: 'backup', side: 'client', other: 'server', where: 'source', runs: backups }
        : {
            work: 'restore',
            side: 'server',
            other: 'client',
            where: 'destination',
            runs: restores,
          };
  }

  async advance(): Promise<Advance> {
    const transfer = this.#transfer;
    const { side, other, work, where } = this.#half;
    const stranger = await podAt(transfer, other);
    if (stranger !== undefined) {
      await deletePod(transfer, other, stranger);
      return this.#running('the pod at the other side is ending');
    }
    const pod = await podAt(transfer, side);
    if (pod === undefined) return this.#start();
    const isOfThisHalf = pod.spec?.containers[0]?.command?.includes(work) === true;
    if (pod.metadata.deletionTimestamp !== undefined || !isOfThisHalf) {
      await deletePod(transfer, side, pod);
      return this.#running(this.#isPaused ? 'paused' : `the pod at the ${where} is ending`);
    }
    return this.#follow(pod);
  }

  get #isPaused(): boolean {
    return this.#transfer.object.spec.paused === true;
  }

  #running(message: string, numbers: TransferNumbers = {}): Advance {
    const route = routeOf(this.#transfer);
    return { kind: 'running', message, numbers: { route, ...numbers } };
  }

  async #start(): Promise<Advance> {
    const transfer = this.#transfer;
    const { side, work, where } = this.#half;
    if (this.#isPaused) return this.#running('paused');
    await ensureClaim(transfer, this.#work.volumeMode);
    const place = await placeFor(transfer, side, this.#work);
    if (place.image === undefined) return { ...place, kind: 'waiting', numbers: {} };
    const ownership = await ownershipFor(transfer);
    await this.#tell(await this.#config(ownership), ownership);
    const claim = claimAt(transfer, side).name;
    const options = podOptionsOf(transfer, side, place);
    const trouble = await makePod(transfer, side, resticPod(work, { ...options, claim }));
    if (trouble !== undefined) {
      await remember(transfer, this.#memory);
      return { ...trouble, kind: 'waiting', numbers: {} };
    }
    return this.#running(`the pod at the ${where} is made`);
  }

  async #config(ownership: 'Preserve' | 'Mover'): Promise<string> {
    const transfer = this.#transfer;
    const { object } = transfer;
    const { place: repository, password } = await openRepository(transfer);
    const { pass, verify = false, source } = object.spec;
    const rate = rateOf(transfer);
    const both = {
      repository,
      password,
      verify,
      pass: pass === 'Last' ? ('Final' as const) : ('Stage' as const),
      ...(rate === undefined ? {} : { bytesPerSecond: Math.max(1, rate) }),
    };
    const { name } = keyAt(transfer, this.#half.side);
    const { saved } = this.#memory.relay;
    const claim = `${source.cluster}/${source.namespace}/${source.claim}`;
    return saved === undefined
      ? resticConfigText(name, { ...both, transfer: uidOf(object), claim })
      : resticConfigText(name, { ...both, saved, ownership });
  }

  /** The run is counted before its pod is made. */
  async #tell(config: string, ownership: 'Preserve' | 'Mover'): Promise<void> {
    const { relay } = this.#memory;
    const files = { 'config.json': config };
    if (this.#half.work === 'backup') {
      const counted = { ...relay, backups: relay.backups + 1 };
      await remember(this.#transfer, { ...this.#memory, ownership, relay: counted }, files);
      return;
    }
    await putSecret(this.#transfer, 'server', { files, notes: {} });
    const counted = { ...relay, restores: relay.restores + 1 };
    await remember(this.#transfer, { ...this.#memory, ownership, relay: counted });
  }

  async #follow(pod: Pod): Promise<Advance> {
    const transfer = this.#transfer;
    const { side, work, runs } = this.#half;
    const log = await lastLogAt(transfer, side);
    const news = filesNews(log);
    const numbers = this.#numbersOf(news);
    if (work === 'backup' && (await this.#keep(log))) {
      return this.#running('saved in the repository', numbers);
    }
    if (news.end?.kind === 'done') return this.#finish(news.end, numbers);
    const failed = news.end;
    if (failed !== undefined || isOver(pod)) {
      const wasStopped = failed?.reason === 'Canceled' || failed?.reason === 'Stopping';
      if ((failed === undefined || wasStopped) && runs < runsMax) {
        await deletePod(transfer, side, pod);
        const why = failed?.message ?? endText(pod);
        return this.#running(this.#isPaused ? 'paused' : `made again: ${why}`, numbers);
      }
      return failedBy(failed, pod, numbers);
    }
    if (this.#isPaused) {
      await deletePod(transfer, side, pod);
      return this.#running('paused', numbers);
    }
    const trouble = log === '' ? troubleOf(pod) : undefined;
    if (trouble !== undefined) return { kind: 'waiting', ...trouble, numbers };
    const doing = work === 'backup' ? 'saves in' : 'restores from';
    return this.#running(`${doing} ${routeOf(transfer)}: ${news.message}`, numbers);
  }

  /** True when the first half is done; which snapshots it made is written down. */
  async #keep(log: string): Promise<boolean> {
    const said = log.split('\n').flatMap((line) => parseMoverMessage(line) ?? []);
    const done = said.findLast((message) => message.type === 'Saved');
    if (done === undefined) return false;
    const { saved, addedBytes, notes } = done;
    const relay = { ...this.#memory.relay, saved, addedBytes, notes };
    await remember(this.#transfer, { ...this.#memory, relay });
    return true;
  }

  /** Each half is half of it; what is copied is told by the first. */
  #numbersOf({ numbers, attempts }: ClientNews): TransferNumbers {
    const { backups, restores, addedBytes = 0 } = this.#memory.relay;
    const { percent, copiedBytes, wireBytes, totalBytes, ...others } = numbers;
    const isSecond = this.#half.work === 'restore';
    const before = Math.max(1, backups) + Math.max(0, restores - 1);
    const half = percent === undefined ? undefined : Math.floor(percent / 2);
    return {
      ...others,
      attempts: before + attempts - 1,
      ...(half === undefined ? {} : { percent: isSecond ? half + 50 : half }),
      ...(totalBytes === undefined ? {} : { totalBytes }),
      ...(copiedBytes === undefined || (isSecond && percent !== 100) ? {} : { copiedBytes }),
      ...(wireBytes === undefined ? {} : { wireBytes: wireBytes + addedBytes }),
    };
  }

  async #finish(
    end: Extract<ClientEnd, { kind: 'done' }>,
    numbers: TransferNumbers,
  ): Promise<Advance> {
    const { ownership, relay } = this.#memory;
    const volume = await settleClaim(this.#transfer);
    const owners = ownership === 'Mover' ? [ownersWarning] : [];
    const warnings = [...(relay.notes ?? []), ...end.warnings, ...owners];
    const isLast = this.#transfer.object.spec.pass === 'Last';
    const verified = isLast ? { verified: end.verified } : {};
    const route = routeOf(this.#transfer);
    return {
      kind: 'succeeded',
      volume,
      numbers: { ...numbers, percent: 100, route },
      warnings,
      ...verified,
    };
  }
}

function failedBy(
  failed: Extract<ClientEnd, { kind: 'failed' }> | undefined,
  pod: Pod,
  numbers: TransferNumbers,
): Advance {
  if (failed === undefined) {
    const message = `${endText(pod)}, ${runsMax} times, without saying why`;
    return { kind: 'failed', reason: 'Stopping', message, numbers };
  }
  const reason = isReason(failed.reason) ? failed.reason : 'Internal';
  return { kind: 'failed', reason, message: `${failed.message}; ${failed.remedy}`, numbers };
}
