/** Answers to everything but single volumes: pools, policies, clusters, teleports, jobs, agent. */
import {
  apiVersion,
  type ClusterObject,
  type Finding,
  type HistoryPolicyObject,
  type JobObject,
  listOf,
  type PoolObject,
  type TeleportObject,
} from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import { formatMoment } from '../base/units.ts';
import { collectPool } from './collector.ts';
import type { AgentParts, HandlersOf } from './parts.ts';
import { poolView } from './views.ts';

export function policyHandlers(parts: AgentParts): HandlersOf<'policy'> {
  const { policies, pools, info, ports } = parts;
  const usersOf = (name: string) =>
    pools
      .volumes()
      .filter(({ volume }) => policies.nameFor(volume.id, volume.status().policy) === name);
  const view = (name: string) => {
    const users = usersOf(name).map(({ volume }) => volume.name);
    return policies.view(name, users, info.cluster);
  };
  return {
    'policy.list': async () =>
      listOf<HistoryPolicyObject>('HistoryPolicy', policies.names().map(view)),
    'policy.create': async ({ name, ...retention }) => {
      policies.create(name, retention, ports.clock.wallMs());
      return view(name);
    },
    'policy.set': async ({ name, ...retention }) => {
      // Before the name means something else, because the users are found by what it means.
      const users = usersOf(name);
      const policy = { ...policies.find(name), ...retention };
      policies.set(name, policy);
      for (const { volume } of users) {
        // Its leader changes it everywhere.
        if (!parts.replicas.isFollowed(volume.name)) await volume.setPolicy(policy);
      }
      return view(name);
    },
    'policy.delete': async ({ name }) => {
      const before = view(name);
      policies.delete(name, before.status.volumes);
      return before;
    },
  };
}

export function poolHandlers(parts: AgentParts): HandlersOf<'pool'> {
  const { pools, info, jobs, events } = parts;
  const { metrics } = parts.ports;
  return {
    'pool.list': async () =>
      listOf<PoolObject>(
        'Pool',
        pools.all.map((pool) => poolView(pool, info.cluster)),
      ),
    'pool.show': async ({ pool }) => poolView(pools.pick(pool), info.cluster),
    'pool.scrub': async ({ pool }, { emit, signal }) => {
      const { name, api } = pools.pick(pool);
      const job = jobs.start({ type: 'Scrub', target: name }, async ({ progress }) => {
        // The engine counts chunks; people think in bytes.
        const { storedBytes } = api.status();
        const report = await api.scrub((done, total) =>
          progress(Math.round((storedBytes * done) / Math.max(1, total)), storedBytes),
        );
        const { chunks, bytes, corrupt, repaired, affectedVolumes } = report;
        const labels = { pool: name };
        metrics.add('transship_scrubbed_bytes_total', bytes, labels);
        metrics.add('transship_scrub_corrupt_chunks_total', corrupt, labels);
        metrics.add('transship_scrub_repaired_chunks_total', repaired, labels);
        if (corrupt > repaired) {
          const note = `${corrupt - repaired} chunks of pool ${name} are corrupt`;
          events.add({ type: 'Critical', reason: 'DataCorrupt', kind: 'Pool', name, note });
        }
        return { chunks, scrubbedBytes: bytes, corrupt, repaired, affectedVolumes };
      });
      return jobs.watch(job.metadata.name, emit, signal);
    },
    'pool.collect': async ({ pool: chosen }, { emit, signal }) => {
      const pool = pools.pick(chosen);
      const job = jobs.start({ type: 'Collect', target: pool.name }, async () => {
        const report = await collectPool(parts.ports, pool);
        const { chunksFreed, bytesFreed, segmentsRemoved } = report;
        return { chunksFreed, freedBytes: bytesFreed, segmentsRemoved };
      });
      return jobs.watch(job.metadata.name, emit, signal);
    },
  };
}

export function clusterHandlers(parts: AgentParts): HandlersOf<'cluster'> {
  const { clusters, info } = parts;
  return {
    'cluster.list': async () => listOf<ClusterObject>('Cluster', clusters.list()),
    'cluster.token': async ({ lifeMs, member }) => {
      const { token, expiresMs } = clusters.token(lifeMs, member === true);
      return {
        kind: 'JoinToken',
        apiVersion,
        metadata: { name: info.cluster, cluster: info.cluster },
        token,
        expirationTime: formatMoment(expiresMs),
      };
    },
    'cluster.join': async ({ token, member }) => clusters.join(token, member === true),
    'cluster.check': async ({ name }) => clusters.check(name),
    'cluster.remove': async ({ name, force }) => clusters.remove(name, force === true),
    'cluster.volumes': async ({ name }) => {
      const volumes = await clusters.cloud.peer(name).listVolumes();
      return { names: volumes.map((volume) => volume.name) };
    },
  };
}

export function teleportHandlers(parts: AgentParts): HandlersOf<'teleport'> {
  const { teleports } = parts;
  const find = (name: string): TeleportObject => {
    const found = teleports.find(name);
    if (found !== undefined) return found;
    const names = teleports.list().map(({ metadata }) => metadata.name);
    const known = names.length === 0 ? 'there are none' : `there is ${names.join(', ')}`;
    fail('NotFound', `no teleport '${printable(name)}' to this cluster (${known})`);
  };
  return {
    'teleport.start': async (request) => teleports.start(request),
    'teleport.list': async () => listOf<TeleportObject>('Teleport', teleports.list()),
    'teleport.show': async ({ name }) => find(name),
    'teleport.watch': async ({ name, until }, watcher) => {
      find(name);
      return teleports.watch(name, until, watcher);
    },
    'teleport.cancel': async ({ name }) => {
      find(name);
      return teleports.cancel(name, false);
    },
    'teleport.fill': async ({ name, bytesPerSecond }) => {
      find(name);
      return teleports.fill(name, bytesPerSecond);
    },
  };
}

export function jobHandlers(parts: AgentParts): HandlersOf<'job'> {
  const { jobs } = parts;
  return {
    'job.list': async () => listOf<JobObject>('Job', jobs.list()),
    'job.watch': async ({ name }, { emit, signal }) => jobs.watch(name, emit, signal),
    'job.cancel': async ({ name }) => jobs.cancel(name),
  };
}

export function agentHandlers(parts: AgentParts): HandlersOf<'agent'> {
  const { clusters, ports, events, info } = parts;
  return {
    'agent.status': async () => clusters.self(),
    'agent.metrics': async () => ({ text: await ports.metrics.text() }),
    'agent.doctor': async () => {
      const findings = doctorFindings(parts);
      return {
        kind: 'Report',
        apiVersion,
        metadata: { name: info.cluster, cluster: info.cluster },
        passed: findings.every(({ result }) => result !== 'Failed'),
        findings,
      };
    },
    'agent.events': async ({ follow }, { emit, signal }) => {
      for (const event of events.list()) emit(event);
      if (follow !== true) return {};
      const stop = events.onEvent(emit);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve());
      });
      stop();
      return {};
    },
    'agent.stop': async () => {
      ports.requestStop();
      return {};
    },
  };
}

function doctorFindings(parts: AgentParts): readonly Finding[] {
  const { clusters, pools } = parts;
  const { health, reasons } = clusters.self().status;
  const results = { None: 'Passed', Yellow: 'Warning', Red: 'Failed' } as const;
  const findings: Finding[] = [
    {
      check: 'health',
      result: results[health],
      message: reasons.length === 0 ? 'nothing to say' : reasons.join('; '),
    },
  ];
  for (const { name, api } of pools.all) {
    const { phase, conditions } = api.status();
    const bad = conditions.filter(({ status }) => status === 'True').map(({ message }) => message);
    findings.push({
      check: `pool ${name}`,
      result: phase === 'Healthy' ? 'Passed' : 'Failed',
      message: [phase, ...bad].join('; '),
    });
  }
  return findings;
}
