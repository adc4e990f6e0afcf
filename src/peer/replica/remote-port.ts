/** A replica that another agent of this cluster keeps, asked over its links. */
import { TransshipError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Configuration, Mark, Member, Term } from '../../volume/replica-types.ts';
import { decodeJson, encodeJson, type Fields } from '../json-fields.ts';
import { operations } from '../messages.ts';
import type { Peer } from '../peer.ts';
import { onlyPayload, type Reply } from '../session.ts';
import type {
  CreateReplica,
  Point,
  ReadRequest,
  RebuildLimits,
  ReplicaPort,
  ReplicaStatus,
  SealedVersion,
  WriteBatch,
} from './api.ts';
import { decodeSealed, decodeStatus, encodeLimits, encodeSealed, encodeWrite } from './codec.ts';

/** A question about state is answered from memory. */
const stateMs = 3000;
/** Orders may settle up to 256 MiB before they are done. */
const orderMs = 120_000;
const answerBytes = 1024 * 1024;

export interface RemotePortOptions {
  readonly volume: string;
  readonly member: Member;
  /** Throws `NotFound` while the agent is no peer of this one. */
  readonly peer: () => Peer;
  /** How long a write, read or flush may go unanswered: longer than any link is repaired. */
  readonly dataMs: number;
}

export class RemotePort implements ReplicaPort {
  readonly member: Member;
  readonly isLocal = false;
  readonly #o: RemotePortOptions;

  constructor(options: RemotePortOptions) {
    this.#o = options;
    this.member = options.member;
  }

  async state(): Promise<ReplicaStatus | undefined> {
    const payload = encodeJson({ volume: this.#o.volume });
    const fields = await this.#json(operations.replicaState, payload, stateMs);
    return fields.has('replica') ? decodeStatus(fields.object('replica')) : undefined;
  }

  async write(term: Term, batch: WriteBatch): Promise<void> {
    const { volume, dataMs } = this.#o;
    const payload = encodeWrite({ volume, term, batch });
    const call = { type: operations.replicaWrite, payload, credit: 1024, timeoutMs: dataMs };
    await this.#ask(call);
  }

  async flush(term: Term, sequence: number): Promise<void> {
    const payload = encodeJson({ volume: this.#o.volume, term, sequence });
    await this.#json(operations.replicaFlush, payload, this.#o.dataMs);
  }

  async read(term: Term, { into, offset, sequence }: ReadRequest): Promise<void> {
    const { volume, dataMs } = this.#o;
    const payload = [encodeJson({ volume, term, offset, sequence, bytes: into.length })];
    const credit = into.length + 1024;
    const call = { type: operations.replicaRead, payload, credit, timeoutMs: dataMs };
    const { payloads } = await this.#ask(call);
    let at = 0;
    for (const part of payloads) {
      if (at + part.length > into.length) break;
      into.set(part, at);
      at += part.length;
    }
    if (at !== into.length) {
      throw new TransshipError('ProtocolError', `${this.member.agent} sent another length`);
    }
  }

  promise(term: Term): Promise<ReplicaStatus> {
    return this.#order('promise', { term }, stateMs);
  }
  create(term: Term, request: CreateReplica): Promise<ReplicaStatus> {
    return this.#order('create', { term, request, pool: this.member.pool });
  }
  adopt(term: Term, mark: Mark, configuration: Configuration): Promise<ReplicaStatus> {
    return this.#order('adopt', { term, mark, configuration });
  }
  revert(term: Term): Promise<ReplicaStatus> {
    return this.#order('revert', { term });
  }
  receive(term: Term): Promise<ReplicaStatus> {
    return this.#order('receive', { term });
  }
  rebase(term: Term, version: SealedVersion, rebuild: RebuildLimits): Promise<ReplicaStatus> {
    const said = { term, version: encodeSealed(version), limits: encodeLimits(rebuild) };
    return this.#order('rebase', said);
  }
  finish(term: Term, sequence: number): Promise<ReplicaStatus> {
    return this.#order('finish', { term, sequence });
  }
  configure(term: Term, configuration: Configuration, sequence: number): Promise<ReplicaStatus> {
    return this.#order('configure', { term, configuration, sequence });
  }
  async point(term: Term, point: Point, signal: AbortSignal): Promise<ReplicaStatus> {
    const { volume } = this.#o;
    const said = encodeJson({ term, ...point, volume, action: 'point' });
    const fields = await this.#json(operations.replicaChange, said, orderMs, signal);
    return decodeStatus(fields.object('replica'));
  }

  async seal(term: Term, sequence: number, leaseId: string): Promise<SealedVersion> {
    const fields = await this.#change('seal', { term, sequence, leaseId }, orderMs);
    return decodeSealed(fields.object('version'));
  }
  async releaseSeal(leaseId: string): Promise<void> {
    await this.#change('release', { leaseId }, stateMs);
  }
  async limit(term: Term, rebuild: RebuildLimits): Promise<void> {
    await this.#change('limit', { term, limits: encodeLimits(rebuild) }, stateMs);
  }
  async drop(term: Term): Promise<void> {
    await this.#change('drop', { term }, orderMs);
  }

  async #order(action: string, said: object, ms = orderMs): Promise<ReplicaStatus> {
    const fields = await this.#change(action, said, ms);
    return decodeStatus(fields.object('replica'));
  }

  #change(action: string, said: object, ms: number): Promise<Fields> {
    const payload = encodeJson({ ...said, volume: this.#o.volume, action });
    return this.#json(operations.replicaChange, payload, ms);
  }

  async #json(
    type: number,
    payload: Uint8Array,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Fields> {
    const call = { type, payload: [payload], credit: answerBytes, timeoutMs };
    const ends = signal === undefined ? {} : { signal };
    return decodeJson(onlyPayload(await this.#ask({ ...call, ...ends })));
  }

  #ask(call: {
    readonly type: number;
    readonly payload: readonly Uint8Array[];
    readonly credit: number;
    readonly timeoutMs: number;
    readonly signal?: AbortSignal;
  }): Promise<Reply> {
    const credit = Math.min(call.credit, limits.peerCreditBytesMax);
    return this.#o.peer().ask({ ...call, credit });
  }
}
