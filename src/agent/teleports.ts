/** Teleports to this cluster as objects: what `TeleportManager` knows, in the words of the API. */
import type { RequestOf } from '../api/control.ts';
import { apiVersion, type ConditionView, type TeleportObject } from '../api/objects.ts';
import type { Clock, Disk, Log, Metrics, Random } from '../base/ports.ts';
import { formatMoment, formatRate } from '../base/units.ts';
import type { TeleportPeer } from '../peer/teleport-peer.ts';
import type { TeleportRecord } from '../peer/teleport-record.ts';
import { TeleportManager } from '../peer/teleports.ts';
import { readDocument, replaceDocument } from '../volume/document.ts';
import type { Events } from './events.ts';
import type { Policies } from './policies.ts';
import type { Pools } from './pools.ts';
import { conditionView } from './views.ts';

export interface TeleportsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly home: Disk;
  readonly cluster: string;
  readonly pools: Pools;
  readonly policies: Policies;
  readonly events: Events;
  /** `NotFound` for a cluster that is not a peer. */
  readonly peer: (name: string) => TeleportPeer;
  /** Whether a peer of this name is one agent of that cluster. */
  readonly isAgentOf: (name: string, cluster: string) => boolean;
}

const documentPath = 'teleports.json';
/** Progress is looked at this often for those who watch. */
const watchEveryMs = 250;

const ended = new Set(['Available', 'Canceled', 'Failed']);

export class Teleports {
  readonly #o: TeleportsOptions;
  readonly #manager: TeleportManager;
  readonly #phases = new Map<string, string>();

  constructor(options: TeleportsOptions) {
    this.#o = options;
    const { clock, random, log, metrics, home, cluster, pools, peer } = options;
    this.#manager = new TeleportManager({
      clock,
      random,
      log,
      metrics,
      cluster,
      peer,
      pools: () => pools.all,
      load: () => loadRecords(home),
      save: (records) => replaceDocument(home, documentPath, { records }),
      onChange: (record) => this.#noteChange(record),
    });
  }

  /** Takes up what the last process left; once peers and pools are there. */
  async resume(): Promise<void> {
    await this.#manager.resume();
  }

  async start(request: RequestOf<'teleport.start'>): Promise<TeleportObject> {
    const { pools, policies } = this.#o;
    const { agent, ...asked } = request;
    const { name = asked.volume, historyPolicy = 'none', thin = false, pool, ...rest } = asked;
    const cluster = this.#peerOf(request.cluster, agent);
    checkTrust(this.#o.peer(cluster));
    const record = await this.#manager.start({
      ...rest,
      cluster,
      name,
      thin,
      policy: policies.find(historyPolicy),
      policyName: historyPolicy,
      pool: pools.pick(pool).name,
    });
    const made = pools.find(name);
    if (made !== undefined) policies.assign(made.volume.id, historyPolicy);
    return this.#view(record);
  }

  /** The agent that has the volume, where it is one of several and has joined by its own name. */
  #peerOf(cluster: string, agent: string | undefined): string {
    if (agent === undefined || agent === cluster) return cluster;
    return this.#o.isAgentOf(agent, cluster) ? agent : cluster;
  }

  list(): readonly TeleportObject[] {
    return this.#manager.list().map((record) => this.#view(record));
  }

  /** Those with something missing. */
  active(): readonly TeleportObject[] {
    return this.list().filter(({ status }) => !ended.has(status.phase));
  }

  /** By its own name, or by that of its volume. */
  find(name: string): TeleportObject | undefined {
    const record = this.#manager.find(name);
    return record === undefined ? undefined : this.#view(record);
  }

  /** Calls back on change until `until` is reached, it ends, or the signal is aborted. */
  async watch(
    name: string,
    until: string | undefined,
    watcher: { emit(view: TeleportObject): void; readonly signal: AbortSignal },
  ): Promise<TeleportObject> {
    let shown = '';
    let last = this.find(name)!;
    while (!watcher.signal.aborted) {
      last = this.find(name) ?? last;
      const text = JSON.stringify(last);
      if (text !== shown) watcher.emit(last);
      shown = text;
      const { phase } = last.status;
      if (ended.has(phase) || phase === until) break;
      await this.#pause(watcher.signal);
    }
    return last;
  }

  /** Deletes the destination volume; the source is told when it can be. */
  async cancel(name: string, force: boolean): Promise<TeleportObject> {
    return this.#view(await this.#manager.cancel(name, force));
  }

  async fill(name: string, bytesPerSecond: number | undefined): Promise<TeleportObject> {
    return this.#view(await this.#manager.fill(name, bytesPerSecond));
  }

  /** 0 for a volume that is all here. */
  missingBytes(volume: string): number {
    return this.#manager.missingBytes(volume);
  }

  /** Names of teleports that cannot finish without this peer. */
  dependingOn(peer: string): readonly string[] {
    return this.#manager.dependingOn(peer);
  }

  noteDemand(volume: string, fetch: { readonly blocks: number; readonly bytes: number }): void {
    this.#manager.noteDemand(volume, fetch);
  }

  async close(): Promise<void> {
    await this.#manager.close();
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#o.clock.after(watchEveryMs, done);
      function done(): void {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done);
    });
  }

  #noteChange(record: TeleportRecord): void {
    const { name, volume, cluster, sourceVolume, phase, message } = record;
    if (this.#phases.get(name) === phase) return;
    this.#phases.set(name, phase);
    const from = `${cluster}/${sourceVolume}`;
    const notes: Readonly<Record<string, string>> = {
      Initializing: `volume ${volume} is coming from ${from}`,
      Accessible: `volume ${volume} from ${from} can be read and written`,
      Available: `all of volume ${volume} is here; ${cluster} is not needed any more`,
      Canceled: `the teleport of ${from} was cancelled and volume ${volume} deleted`,
      Failed: `the teleport of ${from} failed: ${message ?? 'no reason known'}`,
    };
    const type = phase === 'Failed' ? 'Error' : 'Information';
    const reason = phase === 'Failed' ? (record.reason ?? 'Internal') : phase;
    this.#o.events.add({ type, reason, kind: 'Teleport', name, note: notes[phase] ?? phase });
  }

  #view(record: TeleportRecord): TeleportObject {
    const { atMs, snapshot, bytesPerSecond, finishedMs, accessibleMs } = record;
    const { accessibleAfterMs, root, progress } = record;
    return {
      kind: 'Teleport',
      apiVersion,
      metadata: {
        name: record.name,
        cluster: this.#o.cluster,
        creationTimestamp: formatMoment(record.startedMs),
      },
      spec: {
        source: { cluster: record.cluster, volume: record.sourceVolume },
        destination: { cluster: this.#o.cluster, volume: record.volume },
        thin: record.thin,
        historyPolicy: record.policyName === '' ? 'custom' : record.policyName,
        ...(atMs === undefined ? {} : { at: formatMoment(atMs) }),
        ...(snapshot === undefined ? {} : { snapshot }),
        ...(bytesPerSecond === undefined ? {} : { bandwidth: formatRate(bytesPerSecond) }),
      },
      status: {
        phase: record.phase,
        progress: wholeNumbers(progress),
        conditions: this.#conditions(record),
        ...(accessibleAfterMs === undefined
          ? {}
          : { accessibleAfterMs: Math.round(accessibleAfterMs) }),
        ...(root === undefined ? {} : { root }),
        ...(accessibleMs === undefined ? {} : { accessibleTime: formatMoment(accessibleMs) }),
        ...(finishedMs === undefined ? {} : { completionTime: formatMoment(finishedMs) }),
      },
    };
  }

  /** `Ready` and `Succeeded` from the phase, and what the volume says of its source. */
  #conditions(record: TeleportRecord): readonly ConditionView[] {
    const { phase, reason = phase, message = '' } = record;
    const sinceMs = record.finishedMs ?? record.accessibleMs ?? record.startedMs;
    const time = formatMoment(sinceMs);
    const usable = phase === 'Accessible' || phase === 'Available';
    const failed = phase === 'Failed' || phase === 'Canceled';
    const own = failed ? ({ reason, message } as const) : ({ reason: phase, message: '' } as const);
    const link = this.#o.pools
      .find(record.volume)
      ?.volume.status()
      .conditions.find(({ type }) => type === 'SourceConnected');
    return [
      { type: 'Ready', status: usable ? 'True' : 'False', ...own, lastTransitionTime: time },
      {
        type: 'Succeeded',
        status: phase === 'Available' ? 'True' : failed ? 'False' : 'Unknown',
        ...own,
        lastTransitionTime: time,
      },
      ...(link === undefined || phase !== 'Accessible' ? [] : [conditionView(link)]),
    ];
  }
}

/** Waiting helps against a lost link, but not when the other side ended the trust. */
function checkTrust(peer: TeleportPeer): void {
  const { connected, lastError } = peer.status();
  if (!connected && lastError?.reason === 'NotTrusted') throw lastError;
}

function loadRecords(home: Disk): readonly TeleportRecord[] {
  const saved = readDocument(home, documentPath) as
    | { readonly records?: readonly TeleportRecord[] }
    | undefined;
  return saved?.records ?? [];
}

/** Rates and estimates are measured; the API has whole numbers only. */
function wholeNumbers(progress: TeleportRecord['progress']): TeleportRecord['progress'] {
  const { etaMs } = progress;
  return {
    ...progress,
    bytesPerSecond: Math.round(progress.bytesPerSecond),
    ...(etaMs === undefined ? {} : { etaMs: Math.round(etaMs) }),
  };
}
