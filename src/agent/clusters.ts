/** This cluster and its peers, as objects; trust made and ended; health with reasons (I-31). */
import {
  apiVersion,
  badWhenTrue,
  type ClusterObject,
  type Finding,
  type Health,
  type ReportObject,
} from '../api/objects.ts';
import { asTransshipError, fail } from '../base/errors.ts';
import { formatBytes, formatMoment, formatRate } from '../base/units.ts';
import type { Cloud, CloudSelf } from '../peer/cloud.ts';
import type { Peer } from '../peer/peer.ts';
import type { Events } from './events.ts';
import type { Pools } from './pools.ts';
import type { AgentInfo, AgentPorts } from './ports.ts';
import type { Teleports } from './teleports.ts';

export interface ClustersOptions {
  readonly cloud: Cloud;
  readonly self: CloudSelf;
  readonly info: AgentInfo;
  readonly ports: AgentPorts;
  readonly pools: Pools;
  readonly events: Events;
  readonly teleports: Teleports;
}

/** Above this share of the capacity the cluster is `Yellow`. */
const fullRatio = 0.9;

export class Clusters {
  readonly #o: ClustersOptions;
  readonly #watched = new Map<Peer, () => void>();

  constructor(options: ClustersOptions) {
    this.#o = options;
    options.cloud.onChange(() => this.#watchPeers());
    this.#watchPeers();
  }

  get cloud(): Cloud {
    return this.#o.cloud;
  }

  list(): readonly ClusterObject[] {
    return [this.self(), ...this.#o.cloud.peers().map((peer) => this.#peerView(peer))];
  }

  self(): ClusterObject {
    const { info, self, pools, teleports } = this.#o;
    const status = pools.all.map(({ api }) => api.status());
    const sum = (pick: (one: (typeof status)[number]) => number) =>
      status.reduce((total, one) => total + pick(one), 0);
    const storedBytes = sum((one) => one.storedBytes);
    const reasons = this.#reasons();
    return {
      kind: 'Cluster',
      apiVersion,
      metadata: {
        name: info.cluster,
        cluster: info.cluster,
        uid: self.id,
        creationTimestamp: formatMoment(info.startedMs),
      },
      spec: {
        local: true,
        address: self.addresses()[0] ?? '',
        fingerprint: self.fingerprint,
        ...(self.memberOf === undefined ? {} : { memberOf: self.memberOf }),
      },
      status: {
        connected: true,
        health: worst(reasons),
        reasons: reasons.map(({ text }) => text),
        version: info.version,
        volumes: pools.volumes().length,
        teleports: teleports.active().length,
        capacityBytes: sum((one) => one.capacityBytes),
        allocatedBytes: sum((one) => one.allocatedBytes),
        ...(storedBytes === 0 ? {} : { savingRatio: sum((one) => one.logicalBytes) / storedBytes }),
        pid: info.pid,
        startTime: formatMoment(info.startedMs),
        home: info.homePath,
        controlSocket: info.controlSocket,
        nbdSocket: info.nbdSocket,
        metricsUrl: info.metricsUrl,
      },
    };
  }

  token(lifeMs: number | undefined, isMember: boolean): { token: string; expiresMs: number } {
    return this.#o.cloud.createToken(lifeMs, isMember);
  }

  async join(token: string, isMember: boolean): Promise<ClusterObject> {
    const peer = await this.#joinAgain(token, isMember);
    const { name } = peer.record;
    this.#tell(
      'Information',
      'Joined',
      name,
      `${name} and ${this.#o.info.cluster} trust each other`,
    );
    return this.#peerView(peer);
  }

  /** Joins; a peer that ended the trust on its side is forgotten first, as it forgot us. */
  async #joinAgain(token: string, isMember: boolean): Promise<Peer> {
    const { cloud } = this.#o;
    try {
      return await cloud.join(token, isMember);
    } catch (error) {
      const { reason } = asTransshipError(error);
      const former = cloud.peers().filter((peer) => {
        const { connected, lastError } = peer.status();
        return !connected && lastError?.reason === 'NotTrusted';
      });
      if (reason !== 'AlreadyExists' || former.length === 0) throw error;
      for (const { record } of former) cloud.remove(record.name);
      return cloud.join(token, isMember);
    }
  }

  /** Refused (`InUse`) while something depends on the peer, unless forced. */
  remove(name: string, force: boolean): ClusterObject {
    const peer = this.#o.cloud.peer(name);
    const fromIt = this.#o.teleports.dependingOn(name);
    const toIt = this.#o.pools.all
      .flatMap(({ api }) => api.leases())
      .filter(({ holder }) => holder.startsWith(`${name}/`));
    if (!force && fromIt.length > 0) {
      fail(
        'InUse',
        `${name} still has data of teleport ${fromIt.join(', ')}; use --force to lose it`,
      );
    }
    if (!force && toIt.length > 0) {
      const volumes = [...new Set(toIt.map(({ volume }) => volume))].join(', ');
      fail('InUse', `${name} still fetches volume ${volumes}; use --force to break that`);
    }
    const view = this.#peerView(peer);
    this.#o.cloud.remove(name);
    // A link that nobody wants any more must not look like one that is down.
    void this.#o.ports.metrics.forget('peer', name);
    this.#tell('Information', 'Removed', name, `${name} is no longer trusted`);
    return view;
  }

  /** Tries the way with real bytes; every step is a finding. */
  async check(name: string): Promise<ReportObject> {
    const peer = this.#o.cloud.peer(name);
    const findings: Finding[] = [];
    try {
      const { roundTripMs, bytesPerSecond, ...found } = await peer.check();
      const { clockDifferenceMs, links, protocol, agentVersion } = found;
      const far = Math.abs(clockDifferenceMs) > 60_000;
      findings.push(
        passed('link', `${links} links, round trip ${roundTripMs.toFixed(1)} ms`),
        passed('rate', `${formatRate(bytesPerSecond)} (${formatBytes(found.probeBytes)} sent)`),
        passed('protocol', `version ${protocol}, agent ${agentVersion}`),
        far
          ? {
              check: 'clock',
              result: 'Warning',
              message: `the clocks differ by ${(clockDifferenceMs / 1000).toFixed(0)} s`,
              remedy: 'Synchronise the clocks: moments of the past name other seconds there.',
            }
          : passed('clock', `the clocks agree within ${Math.abs(clockDifferenceMs).toFixed(0)} ms`),
      );
    } catch (error) {
      const { message, remedy } = asTransshipError(error);
      const tried = peer.record.addresses.join(', ');
      findings.push({ check: 'link', result: 'Failed', message: `${message} (${tried})`, remedy });
    }
    return {
      kind: 'Report',
      apiVersion,
      metadata: { name, cluster: this.#o.info.cluster },
      passed: findings.every(({ result }) => result !== 'Failed'),
      findings,
    };
  }

  #peerView(peer: Peer): ClusterObject {
    const { record } = peer;
    const status = peer.status();
    const { window, lastError } = status;
    const roundTripMs = window.roundTripMs;
    return {
      kind: 'Cluster',
      apiVersion,
      metadata: {
        name: record.name,
        cluster: this.#o.info.cluster,
        uid: record.id,
        creationTimestamp: formatMoment(record.addedMs),
      },
      spec: {
        local: false,
        address: record.addresses[0] ?? '',
        fingerprint: record.fingerprint,
        ...(record.memberOf === undefined ? {} : { memberOf: record.memberOf }),
      },
      status: {
        connected: status.connected,
        health: status.connected ? 'None' : 'Yellow',
        reasons: status.connected || lastError === undefined ? [] : [lastError.message],
        ...(status.agentVersion === undefined ? {} : { version: status.agentVersion }),
        ...(roundTripMs === undefined ? {} : { roundTripMs }),
      },
    };
  }

  #reasons(): readonly Ground[] {
    const grounds: Ground[] = [];
    for (const { name, api } of this.#o.pools.all) {
      const { phase, capacityBytes, allocatedBytes, conditions } = api.status();
      if (phase === 'Failed') grounds.push({ red: true, text: `pool ${name} failed` });
      else if (phase === 'ReadOnly') grounds.push({ red: true, text: `pool ${name} is read-only` });
      else if (allocatedBytes > capacityBytes * fullRatio) {
        grounds.push({ red: false, text: `pool ${name} is more than 90% full` });
      }
      const volumes = api.volumes().flatMap((volume) => volume.status().conditions);
      for (const { type, status, message } of [...conditions, ...volumes]) {
        if (badWhenTrue.includes(type) && status === 'True') {
          grounds.push({ red: true, text: message });
        }
      }
    }
    for (const peer of this.#o.cloud.peers()) {
      const { connected } = peer.status();
      const depends = this.#o.teleports.dependingOn(peer.record.name).length > 0;
      // A cluster that is off is its owner's matter, until data is wanted from it.
      if (!connected && depends) {
        grounds.push({
          red: true,
          text: `no link to ${peer.record.name}, the source of teleports`,
        });
      } else if (!connected) {
        grounds.push({ red: false, text: `no link to ${peer.record.name}` });
      }
    }
    return grounds;
  }

  #watchPeers(): void {
    const peers = new Set(this.#o.cloud.peers());
    for (const [peer, stop] of this.#watched) {
      if (!peers.has(peer)) {
        stop();
        this.#watched.delete(peer);
      }
    }
    for (const peer of peers) {
      if (this.#watched.has(peer)) continue;
      let before = peer.status().connected;
      const stop = peer.onState(({ connected, lastError }) => {
        if (connected === before) return;
        before = connected;
        const { name } = peer.record;
        const why = lastError === undefined ? '' : `: ${lastError.message}`;
        if (connected) this.#tell('Information', 'Connected', name, `link to ${name} is up`);
        else this.#tell('Warning', 'SourceUnreachable', name, `link to ${name} is down${why}`);
      });
      this.#watched.set(peer, stop);
    }
  }

  #tell(type: 'Information' | 'Warning', reason: string, name: string, note: string): void {
    this.#o.events.add({ type, reason, kind: 'Cluster', name, note });
  }
}

interface Ground {
  readonly red: boolean;
  readonly text: string;
}

function worst(grounds: readonly Ground[]): Health {
  if (grounds.some(({ red }) => red)) return 'Red';
  return grounds.length > 0 ? 'Yellow' : 'None';
}

function passed(check: string, message: string): Finding {
  return { check, result: 'Passed', message };
}
