/** Pools: an object for each pool of this cluster's agents, with what the agent says of it. */
import { type Pool, type PoolStatus, pools } from '../../api/kinds/pool.ts';
import type { PoolObject } from '../../api/objects.ts';
import { unlessThere } from '../../base/errors.ts';
import { formatSize } from '../../base/units.ts';
import type { Outcome } from '../../kube/api.ts';
import { keyOf } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import type { Context, Controller } from '../context.ts';
import { labels } from '../labels.ts';
import { condition, type Report } from '../status.ts';
import { advanceDrain, type DrainReport, drainKeysOf } from './drain.ts';

type Fields = Omit<PoolStatus, 'conditions' | 'observedGeneration'>;

/** Shares of the capacity from which on the pool says that it fills up. */
const highRatio = 0.8;
const veryHighRatio = 0.9;

const usageEveryMs = 10_000;
const labelLengthMax = 63;

interface Place {
  readonly mirror: AgentMirror;
  readonly pool: string;
}

export class PoolController implements Controller {
  readonly name = 'Pool';
  readonly concurrency = 2;
  readonly sources: readonly Source[];
  readonly #c: Context;

  constructor(context: Context) {
    this.#c = context;
    this.sources = [
      watching(context.informers.pools),
      watching(context.informers.volumes, ({ before, now }) => {
        return drainKeysOf(context, [before, now]);
      }),
      context.agents.source(({ kind, name }, mirror) => {
        if (kind === 'Pool') return [this.#nameOf({ mirror, pool: name })];
        return kind === 'Agent' ? this.#allOf(mirror) : [];
      }),
    ];
  }

  async reconcile(name: string): Promise<Outcome> {
    const cached = this.#c.informers.pools.get({ namespace: '', name });
    const place = this.#placeOf(name, cached);
    const view = place?.mirror.pools.get(place.pool);
    if (cached === undefined) {
      if (place?.mirror.usable === true && view !== undefined)
        await this.#create(name, place, view);
      return {};
    }
    const object = await this.#labelled(this.#c.statuses.newest(cached));
    const drain = await advanceDrain(this.#c, object);
    const report = withDrain(reportOf(object, place?.mirror, view), drain);
    this.#tell(object, report);
    const heldBackMs = await this.#c.statuses.write(pools, object, report);
    const waits = [heldBackMs, drain?.againMs].filter((ms) => ms !== undefined);
    return waits.length === 0 ? {} : { againAfterMs: Math.min(...waits) };
  }

  /** Pools are chosen by their node as nodes are: `-l kubernetes.io/hostname=NODE`. */
  async #labelled(object: Pool): Promise<Pool> {
    const { metadata, spec } = object;
    const isOurs = metadata.labels?.[labels.agent] !== undefined;
    const isLabelled = metadata.labels?.[labels.hostname] !== undefined;
    if (!isOurs || isLabelled || spec.node.length > labelLengthMax) return object;
    return this.#c.client.patch(pools, keyOf(object), {
      metadata: { labels: { [labels.hostname]: spec.node } },
    });
  }

  /** All objects of an agent, and all its pools. */
  #allOf(mirror: AgentMirror): readonly string[] {
    const known = [...this.#c.informers.pools.list()]
      .filter(({ metadata }) => metadata.labels?.[labels.agent] === mirror.place.name)
      .map(({ metadata }) => metadata.name ?? '');
    const there = [...mirror.pools.keys()].map((pool) => this.#nameOf({ mirror, pool }));
    return [...new Set([...known, ...there])];
  }

  /** The object that says so is it; else the pool's own name, unless another agent has that. */
  #nameOf({ mirror, pool }: Place): string {
    const agent = mirror.place.name;
    const all = [...this.#c.informers.pools.list()];
    const known = all.find(({ metadata }) => {
      return metadata.labels?.[labels.agent] === agent && metadata.labels[labels.pool] === pool;
    });
    if (known !== undefined) return known.metadata.name ?? '';
    const isTaken = all.some(({ metadata }) => metadata.name === pool);
    const first = this.#c.agents.all.find(({ pools: theirs }) => theirs.has(pool));
    return isTaken || (first !== undefined && first !== mirror) ? `${agent}-${pool}` : pool;
  }

  #placeOf(name: string, object: Pool | undefined): Place | undefined {
    const { [labels.agent]: agent, [labels.pool]: pool } = object?.metadata.labels ?? {};
    if (agent !== undefined && pool !== undefined) {
      const mirror = this.#c.agents.find(agent);
      return mirror === undefined ? undefined : { mirror, pool };
    }
    for (const mirror of this.#c.agents.all) {
      for (const one of mirror.pools.keys()) {
        if (this.#nameOf({ mirror, pool: one }) === name) return { mirror, pool: one };
      }
    }
    return undefined;
  }

  async #create(name: string, { mirror, pool }: Place, view: PoolObject): Promise<void> {
    const agent = mirror.place.name;
    const { path, capacity } = view.spec;
    await unlessThere(
      this.#c.client.create<Pool>(pools, {
        metadata: {
          name,
          labels: { [labels.agent]: agent, [labels.pool]: pool, [labels.hostname]: agent },
        },
        spec: { node: agent, path, capacity },
      }),
    );
  }

  /** That a pool fills up or turned read-only is worth an event, once (I-31). */
  #tell(object: Pool, report: Report): void {
    for (const type of ['ReadOnly', 'FillingUp']) {
      const now = report.conditions.find((one) => one.type === type);
      const before = object.status?.conditions?.find((one) => one.type === type);
      if (now?.status !== 'True' || before?.reason === now.reason) continue;
      const { reason, message: note } = now;
      const what = { regarding: object, type: 'Warning' as const, reason, action: 'Filling' };
      this.#c.ports.events.record({ ...what, note });
    }
  }
}

/** A pool that cannot be reached, or is full, is that first. */
function withDrain(report: Report, drain: DrainReport | undefined): Report {
  if (drain === undefined) {
    const { drain: _over, ...fields } = report.fields as Fields;
    return { ...report, fields };
  }
  const { phase } = report.fields as Fields;
  const told = phase === 'Online' ? drain.fields : { drain: drain.fields.drain };
  return {
    ...report,
    conditions: [...report.conditions, ...drain.conditions],
    fields: { ...report.fields, ...told },
  };
}

/** Pure: what the status says, from what the agent said. */
export function reportOf(
  object: Pool,
  mirror: Pick<AgentMirror, 'trouble' | 'synced'> | undefined,
  view: PoolObject | undefined,
): Report {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = object.status ?? {};
  if (mirror === undefined) {
    const message = 'no agent that the local Cluster object names has this pool';
    return offline('AgentUnreachable', message, known);
  }
  if (mirror.trouble !== undefined) {
    return offline('AgentUnreachable', mirror.trouble.message, known);
  }
  if (view === undefined) return offline('NotFound', 'the agent has no such pool', known);
  return { conditions: conditionsOf(view), fields: fieldsOf(view), slowMs: usageEveryMs };
}

function offline(reason: string, message: string, known: Fields): Report {
  return {
    conditions: [
      condition('Ready', 'Unknown', reason, message),
      condition('Online', false, reason, message),
    ],
    fields: { ...known, phase: 'Offline' },
  };
}

function conditionsOf({ status }: PoolObject): Report['conditions'] {
  const { phase, readOnly, capacityBytes, freeBytes } = status;
  const used = capacityBytes === 0 ? 0 : 1 - freeBytes / capacityBytes;
  const percent = Math.round(used * 100);
  const own = status.conditions.filter(
    ({ type }) => !['Ready', 'ReadOnly', 'Online'].includes(type),
  );
  const why = status.conditions.find(({ type, status: is }) => type === 'Ready' && is === 'False');
  const failed = phase === 'Failed';
  const full = 'the pool is full; volumes take writes again below 98 %';
  const message = `${percent} % are used`;
  return [
    failed
      ? condition('Ready', false, why?.reason ?? 'DiskFailed', why?.message ?? 'its disk failed')
      : condition('Ready', !readOnly, readOnly ? 'PoolFull' : 'Online', readOnly ? full : message),
    condition('Online', true, 'Online', 'the agent has it open'),
    condition('ReadOnly', readOnly, readOnly ? (failed ? 'DiskFailed' : 'PoolFull') : 'Writable'),
    used >= veryHighRatio
      ? condition('FillingUp', true, 'Above90Percent', message)
      : used >= highRatio
        ? condition('FillingUp', true, 'Above80Percent', message)
        : condition('FillingUp', false, 'Below80Percent'),
    ...own.map((one) => {
      const is = one.status === 'Unknown' ? 'Unknown' : one.status === 'True';
      return condition(one.type, is, one.reason, one.message);
    }),
  ];
}

function fieldsOf({ status }: PoolObject): Fields {
  const { phase, conditions: _conditions, storedBytes, logicalBytes, ...numbers } = status;
  const type = 'directory';
  const { readOnly, allocatedBytes, freeBytes, capacityBytes } = numbers;
  return {
    ...numbers,
    type,
    storedBytes,
    logicalBytes,
    phase: phase === 'Healthy' ? 'Online' : phase,
    readOnly,
    allocated: formatSize(allocatedBytes),
    free: formatSize(freeBytes),
    capacity: formatSize(capacityBytes),
    ...(storedBytes === 0
      ? {}
      : { savingPermille: Math.round((1000 * logicalBytes) / storedBytes) }),
  };
}
