/**
 * While a volume has three replicas or more, and agents run as pods, one PodDisruptionBudget keeps
 * all of these pods but one: whoever evicts pods takes one agent away at a time, and every such
 * volume keeps its majority. It is one budget for all agents, not one for each volume, because
 * Kubernetes evicts no pod that two budgets cover.
 */
import type { Cluster } from '../../api/kinds/cluster.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { Outcome } from '../../kube/api.ts';
import { type PodDisruptionBudget, podDisruptionBudgets } from '../../kube/jobs.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import { type LabelSelector, parseLabelRequirements } from '../../kube/selectors.ts';
import type { Context, Controller } from '../context.ts';

export const budgetName = 'transship-agents';
/** The least number of replicas of which one may be away. */
const replicasMin = 3;
const key = 'agents';

type AgentPods = NonNullable<Cluster['spec']['agentPods']>;

export class DisruptionController implements Controller {
  readonly name = 'PodDisruptionBudget';
  readonly concurrency = 1;
  readonly sources: readonly Source[];
  readonly #c: Context;

  constructor(context: Context) {
    this.#c = context;
    const { informers, agents } = context;
    this.sources = [
      watching(informers.volumes, ({ before, now }) => {
        return needsMajority(before) === needsMajority(now) ? [] : [key];
      }),
      watching(informers.clusters, ({ before, now }) => {
        return [before, now].some((one) => one?.spec.agentPods !== undefined) ? [key] : [];
      }),
      agents.source(({ kind }) =>
        kind === 'Agent' && this.#local?.spec.agentPods !== undefined ? [key] : [],
      ),
    ];
  }

  get #local(): Cluster | undefined {
    return [...this.#c.informers.clusters.list()].find(({ spec }) => spec.local === true);
  }

  async reconcile(): Promise<Outcome> {
    const { client, informers, agents } = this.#c;
    const { agentPods: pods, agents: named = [] } = this.#local?.spec ?? {};
    if (pods === undefined) return {};
    const place = { namespace: pods.namespace, name: budgetName };
    const isNeeded = [...informers.volumes.list()].some(needsMajority);
    try {
      if (isNeeded) {
        const count = agents.all.length - named.length;
        const budget = budgetOf(pods, count);
        await client.apply<PodDisruptionBudget>(podDisruptionBudgets, budget);
      } else if ((await client.get(podDisruptionBudgets, place)) !== undefined) {
        await client.delete(podDisruptionBudgets, place);
      }
    } catch (error) {
      // A server that has no such API has nobody who heeds it.
      if (asTransshipError(error).reason !== 'NotFound') throw error;
    }
    return {};
  }
}

function needsMajority(volume: Volume | undefined): boolean {
  return (volume?.spec.replicas?.length ?? 0) >= replicasMin;
}

/** Numbers of pods: what is not scaled by a number has no share that could be counted. */
export function budgetOf(pods: AgentPods, count: number) {
  return {
    metadata: {
      namespace: pods.namespace,
      name: budgetName,
      labels: { 'app.kubernetes.io/part-of': 'transship' },
    },
    spec: { minAvailable: Math.max(1, count - 1), selector: selectorOf(pods.selector) },
  };
}

function selectorOf(text: string): LabelSelector {
  const matchExpressions = parseLabelRequirements(text).map(({ key: label, operator, values }) => ({
    key: label,
    operator,
    ...(values.length === 0 ? {} : { values }),
  }));
  return { matchExpressions };
}
