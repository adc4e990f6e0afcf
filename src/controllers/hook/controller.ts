/**
 * Hooks: before a migration runs one, its object says whether it can: the playbook is one, and the
 * clusters of the plans that use it have the namespace and the account. Nothing is run here.
 */
import { type Hook, hooks } from '../../api/kinds/hook.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import type { Informer, Outcome } from '../../kube/api.ts';
import { keyText, parseKey } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import { namespaces, serviceAccounts } from '../../kube/resources.ts';
import type { Context, Controller } from '../context.ts';
import { namespaceThere } from '../plan/observation.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import { condition } from '../status.ts';
import { playbookProblem } from '../../workload/playbook.ts';

/** Namespaces and accounts come and go unwatched. */
const lookEveryMs = 60_000;
const againMs = 5_000;

export class HookController implements Controller {
  readonly name = 'Hook';
  readonly concurrency = 2;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #hooks: Informer<Hook>;

  constructor(context: Context) {
    this.#c = context;
    this.#hooks = context.informers.hooks;
    const { plans } = context.informers;
    this.sources = [
      watching(this.#hooks),
      watching(plans, ({ before, now }) => [before, now].flatMap((plan) => keysOf(plan))),
      context.remotes.source(({ cluster, object }) => {
        if (object !== undefined) return [];
        const using = [...plans.list()].filter(({ spec }) => {
          return spec.source === cluster || spec.destination === cluster;
        });
        return using.flatMap((plan) => keysOf(plan));
      }),
    ];
  }

  async reconcile(key: string): Promise<Outcome> {
    const cached = this.#hooks.get(parseKey(key));
    if (cached === undefined) return {};
    const hook = this.#c.statuses.newest(cached);
    const ready = await this.#judge(hook);
    await this.#c.statuses.write(hooks, hook, { conditions: [ready], fields: {} });
    return { againAfterMs: ready.status === 'True' ? lookEveryMs : againMs };
  }

  async #judge(hook: Hook) {
    try {
      const { playbook } = hook.spec;
      const problem = playbook === undefined ? undefined : playbookProblem(playbook);
      if (problem !== undefined) fail('Invalid', problem);
      const using = this.#plansOf(hook);
      for (const plan of using) await this.#check(hook, plan);
      const names = using.map(({ metadata }) => metadata.name).join(', ');
      const message = using.length === 0 ? 'no open plan uses it' : `it can run for ${names}`;
      return condition('Ready', true, 'Ready', message);
    } catch (error) {
      const { reason, message, retryable } = asTransshipError(error);
      return condition('Ready', retryable ? 'Unknown' : false, reason, message);
    }
  }

  #plansOf({ metadata }: Hook): readonly Plan[] {
    return [...this.#c.informers.plans.list()].filter((plan) => {
      const isNamed = (plan.spec.hooks ?? []).some(({ hook }) => hook === metadata.name);
      return plan.metadata.namespace === metadata.namespace && plan.spec.closed !== true && isNamed;
    });
  }

  async #check({ spec }: Hook, plan: Plan): Promise<void> {
    const isAtSource = spec.target === 'Source';
    const at = this.#access(isAtSource ? plan.spec.source : plan.spec.destination);
    const here = isAtSource
      ? undefined
      : plan.spec.namespaces.find(({ name }) => namespaceThere(plan, name) === spec.namespace);
    const willBe = here !== undefined && plan.spec.createNamespaces !== false;
    const found = await at.client.get(namespaces, { namespace: '', name: spec.namespace });
    if (found === undefined && !willBe) {
      fail('NotFound', `cluster ${at.name} has no namespace ${spec.namespace}`);
    }
    const { serviceAccount } = spec;
    if (serviceAccount === undefined || (await hasAccount(at, spec.namespace, serviceAccount))) {
      return;
    }
    // It moves along, so it is there in time for hooks after the objects are made.
    if (here !== undefined) {
      const source = this.#access(plan.spec.source);
      if (await hasAccount(source, here.name, serviceAccount)) return;
    }
    const message = `namespace ${spec.namespace} of cluster ${at.name} has no ServiceAccount`;
    fail('NotFound', `${message} ${serviceAccount}`);
  }

  #access(name: string): ClusterAccess {
    const access = this.#c.remotes.find(name);
    if (access !== undefined) return access;
    throw new TransshipError('ApiUnreachable', `cluster ${name} is not connected`);
  }
}

async function hasAccount(
  { client }: ClusterAccess,
  namespace: string,
  name: string,
): Promise<boolean> {
  return (await client.get(serviceAccounts, { namespace, name })) !== undefined;
}

function keysOf(plan: Plan | undefined): readonly string[] {
  const { namespace = '' } = plan?.metadata ?? {};
  return (plan?.spec.hooks ?? []).map(({ hook }) => keyText({ namespace, name: hook }));
}
