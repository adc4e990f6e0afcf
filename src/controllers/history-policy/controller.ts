/**
 * History policies: the object is what every agent of this cluster is made to have. Those that come
 * with Transship, and those made at an agent, appear as objects by themselves.
 */
import { historyPolicies, type HistoryPolicy } from '../../api/kinds/history-policy.ts';
import { retentionText } from '../../api/kinds/retention.ts';
import type { HistoryPolicyObject } from '../../api/objects.ts';
import { asTransshipError, TransshipError, unlessThere } from '../../base/errors.ts';
import { parseDuration } from '../../base/units.ts';
import type { Outcome } from '../../kube/api.ts';
import { ensureFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { keyOf } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import type { Context, Controller } from '../context.ts';
import { finalizers, labels } from '../labels.ts';
import { condition, type Report } from '../status.ts';

/** Names that a status or a message lists. */
const volumesShown = 100;
const volumesTold = 5;
const inUseAgainMs = 15_000;

interface Retention {
  readonly secondsMs: number;
  readonly minutesMs: number;
  readonly hoursMs: number;
  readonly daysMs: number;
}

export class HistoryPolicyController implements Controller {
  readonly name = 'HistoryPolicy';
  readonly concurrency = 2;
  readonly sources: readonly Source[];
  readonly #c: Context;

  constructor(context: Context) {
    this.#c = context;
    const { informers, agents } = context;
    this.sources = [
      watching(informers.policies),
      watching(informers.volumes, ({ before, now }) => {
        const names = [before?.spec.historyPolicy, now?.spec.historyPolicy];
        return names[0] === names[1] ? [] : names.filter((name) => name !== undefined);
      }),
      agents.source(({ kind, name }, mirror) => {
        if (kind === 'HistoryPolicy') return [name];
        return kind === 'Agent' ? this.#allOf(mirror) : [];
      }),
    ];
  }

  #allOf(mirror: AgentMirror): readonly string[] {
    const named = [...this.#c.informers.policies.list()].map(({ metadata }) => metadata.name ?? '');
    return [...new Set([...mirror.policies.keys(), ...named])];
  }

  async reconcile(name: string): Promise<Outcome> {
    const cached = this.#c.informers.policies.get({ namespace: '', name });
    if (cached === undefined) {
      await this.#appear(name);
      return {};
    }
    const object = this.#c.statuses.newest(cached);
    const isPreset = this.#views(name).some(({ status }) => status.preset);
    if (object.metadata.deletionTimestamp !== undefined) return this.#delete(object, isPreset);
    if (isPreset) return this.#keepPreset(object);
    const claimed = await ensureFinalizer(
      this.#c.client,
      historyPolicies,
      object,
      finalizers.historyPolicy,
    );
    return this.#tell(claimed, await this.#ensure(claimed));
  }

  #views(name: string): readonly HistoryPolicyObject[] {
    return this.#c.agents.all.flatMap(({ policies }) => policies.get(name) ?? []);
  }

  /** What an agent has and no object names. A preset comes back when somebody deletes it. */
  async #appear(name: string): Promise<void> {
    const view = this.#views(name)[0];
    if (view === undefined || !this.#c.informers.policies.isSynced) return;
    const { preset } = view.status;
    if (!preset && !(await this.#isStillThere(name))) return;
    const mark = preset ? labels.preset : labels.adopted;
    await unlessThere(
      this.#c.client.create<HistoryPolicy>(historyPolicies, {
        metadata: {
          name,
          labels: { [mark]: 'true' },
          ...(preset ? {} : { finalizers: [finalizers.historyPolicy] }),
        },
        spec: specOf(view),
      }),
    );
  }

  /** What is seen may be older than a deletion that has just been done. */
  async #isStillThere(name: string): Promise<boolean> {
    for (const mirror of this.#c.agents.all) {
      const { items } = await mirror.call('policy.list', {});
      if (items.some(({ metadata }) => metadata.name === name)) return true;
    }
    return false;
  }

  /** Agents do not change what comes with Transship, so its object is put right. */
  async #keepPreset(object: HistoryPolicy): Promise<Outcome> {
    const wanted = specOf(this.#views(object.metadata.name ?? '')[0]!);
    const isSame = sameRetention(retentionOf(object.spec), retentionOf(wanted));
    if (isSame) return this.#tell(object, undefined);
    const restored = await this.#c.client.patch<HistoryPolicy>(historyPolicies, keyOf(object), {
      metadata: { labels: { [labels.preset]: 'true' } },
      spec: wanted,
    });
    const note = 'it comes with Transship and cannot be changed; make a policy of your own';
    this.#warn(object, 'NotAllowed', note);
    return this.#tell(restored, undefined);
  }

  /** What keeps the agents from having it. */
  async #ensure(object: HistoryPolicy): Promise<TransshipError | undefined> {
    const { name = '' } = object.metadata;
    if (this.#c.agents.all.length === 0) {
      return new TransshipError('AgentUnreachable', 'the local Cluster object names no agents');
    }
    let problem: TransshipError | undefined;
    for (const mirror of this.#c.agents.all) {
      try {
        if (mirror.trouble !== undefined) throw mirror.trouble;
        await ensureAt(mirror, name, retentionOf(object.spec));
      } catch (error) {
        problem = asTransshipError(error);
      }
    }
    return problem;
  }

  async #delete(object: HistoryPolicy, isPreset: boolean): Promise<Outcome> {
    const { name = '', finalizers: held = [] } = object.metadata;
    if (!held.includes(finalizers.historyPolicy)) return {};
    const users = this.#users(name);
    if (!isPreset && users.length > 0) {
      const some = users.slice(0, volumesTold).join(', ');
      const more = users.length > volumesTold ? ` and ${users.length - volumesTold} more` : '';
      return this.#refuse(object, new TransshipError('InUse', `volume ${some}${more} uses it`));
    }
    try {
      if (!isPreset) await this.#deleteEverywhere(name);
    } catch (error) {
      return this.#refuse(object, asTransshipError(error));
    }
    await removeFinalizer(this.#c.client, historyPolicies, object, finalizers.historyPolicy);
    return {};
  }

  async #deleteEverywhere(name: string): Promise<void> {
    for (const mirror of this.#c.agents.all) {
      if (mirror.trouble !== undefined) throw mirror.trouble;
      try {
        await mirror.call('policy.delete', { name });
      } catch (error) {
        if (asTransshipError(error).reason !== 'NotFound') throw error;
      }
    }
  }

  async #refuse(object: HistoryPolicy, problem: TransshipError): Promise<Outcome> {
    const { reason, message } = problem;
    const known = object.status?.conditions?.find(({ type }) => type === 'Deleting');
    if (known?.reason !== reason) this.#warn(object, reason, message);
    await this.#tell(object, undefined, [condition('Deleting', false, reason, message)]);
    return { againAfterMs: inUseAgainMs };
  }

  #warn(regarding: HistoryPolicy, reason: string, note: string): void {
    const { events } = this.#c.ports;
    events.record({ regarding, type: 'Warning', reason, action: 'Reconciling', note });
  }

  /** By what the agents say, and by what objects ask for and have not got yet. */
  #users(name: string): readonly string[] {
    const there = this.#views(name).flatMap(({ status }) => status.volumes);
    const asked = [...this.#c.informers.volumes.list()]
      .filter(({ spec }) => spec.historyPolicy === name)
      .map(({ metadata }) => metadata.name ?? '');
    return [...new Set([...there, ...asked])].toSorted();
  }

  async #tell(
    object: HistoryPolicy,
    problem: TransshipError | undefined,
    more: Report['conditions'] = [],
  ): Promise<Outcome> {
    const { name = '' } = object.metadata;
    const users = this.#users(name);
    const ready =
      problem === undefined
        ? condition('Ready', true, 'Ready', 'all agents have it')
        : condition('Ready', false, problem.reason, problem.message);
    const fields = {
      preset: this.#views(name).some(({ status }) => status.preset),
      volumeCount: users.length,
      volumes: users.slice(0, volumesShown),
    };
    const report = { conditions: [ready, ...more], fields };
    const heldBackMs = await this.#c.statuses.write(historyPolicies, object, report);
    const againMs = problem === undefined ? heldBackMs : inUseAgainMs;
    return againMs === undefined ? {} : { againAfterMs: againMs };
  }
}

async function ensureAt(mirror: AgentMirror, name: string, wanted: Retention): Promise<void> {
  const view = mirror.policies.get(name);
  if (view === undefined) {
    const made = await unlessThere(mirror.call('policy.create', { name, ...wanted }));
    if (made !== undefined) return;
  } else if (sameRetention(retentionOf(view.spec), wanted)) {
    return;
  }
  await mirror.call('policy.set', { name, ...wanted });
}

function retentionOf(spec: HistoryPolicy['spec']): Retention {
  const { seconds = '0', minutes = '0', hours = '0', days = '0' } = spec;
  return {
    secondsMs: parseDuration(seconds),
    minutesMs: parseDuration(minutes),
    hoursMs: parseDuration(hours),
    daysMs: parseDuration(days),
  };
}

function sameRetention(a: Retention, b: Retention): boolean {
  return (['secondsMs', 'minutesMs', 'hoursMs', 'daysMs'] as const).every((step) => {
    return a[step] === b[step];
  });
}

function specOf({ spec }: HistoryPolicyObject): HistoryPolicy['spec'] {
  const { secondsMs, minutesMs, hoursMs, daysMs } = retentionOf(spec);
  return {
    seconds: retentionText(secondsMs),
    minutes: retentionText(minutesMs),
    hours: retentionText(hoursMs),
    days: retentionText(daysMs),
  };
}
