/** Asks both clusters whether the account used there may do what a migration does (U-21). */
import type { Plan } from '../../api/kinds/plan.ts';
import type { KubeClient } from '../../kube/api.ts';
import { valueAt } from '../../workload/fields.ts';
import type { MissingRight } from './observation.ts';
import type { Survey } from '../../workload/workload.ts';
import { inferType } from './type.ts';

/** Questions of one look; a plan with more is asked about its first kinds. */
const questionsMax = 400;

interface Question {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
}

interface Access {
  readonly source: KubeClient;
  readonly destination: KubeClient;
  /** The cluster of the plan, which keeps what its runs have decided. */
  readonly hub?: KubeClient;
}

const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

async function isAllowed({ client, ...question }: Question): Promise<boolean> {
  const { namespace, group, verb } = question;
  const [resource, subresource] = question.resource.split('/');
  const resourceAttributes = {
    namespace,
    group,
    verb,
    resource,
    ...(subresource === undefined ? {} : { subresource }),
  };
  const review = await client.request('POST', path, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  });
  return valueAt(review, ['status', 'allowed']) === true;
}

const stopped = [
  ['apps', 'deployments'],
  ['apps', 'statefulsets'],
  ['apps', 'daemonsets'],
  ['batch', 'cronjobs'],
] as const;

interface Wanted {
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
}

/** Undo records. */
const records: Wanted = {
  group: '',
  resource: 'secrets',
  verbs: ['get', 'create', 'patch', 'delete'],
};
const fences: Wanted = { ...records, resource: 'resourcequotas' };

function wantedAtDestination(plan: Plan, survey: Survey): readonly Wanted[] {
  const claims = { group: '', resource: 'persistentvolumeclaims', verbs: ['create', 'delete'] };
  if (inferType(plan) !== 'Namespace') return [claims];
  const types = new Map(
    survey.inventory.items
      .filter(({ unserved }) => unserved === undefined)
      .map(({ type }) => [`${type.plural}.${type.group}`, type]),
  );
  // What was updated is brought back whole by a rollback.
  const updates = (plan.spec.existing ?? []).some(({ policy }) => policy === 'Update');
  const verbs = [...records.verbs, ...(updates ? ['update'] : [])];
  const made = [...types.values()].map(({ group, plural }) => {
    return { group, resource: plural, verbs };
  });
  const hasSecrets = made.some(({ group, resource }) => group === '' && resource === 'secrets');
  return hasSecrets ? made : [...made, records];
}

function wantedAtSource({ spec }: Plan): readonly Wanted[] {
  const looks = ['get', 'list'];
  const read = { group: '', resource: 'persistentvolumeclaims', verbs: looks };
  const pods = { group: '', resource: 'pods', verbs: looks };
  if (spec.quiesce === false) return [read, pods];
  const stops = stopped.map(([group, resource]) => {
    return { group, resource, verbs: [...looks, 'patch'] };
  });
  return [read, ...stops, { ...pods, verbs: [...looks, 'delete'] }, records, fences];
}

export async function findMissingRights(
  plan: Plan,
  survey: Survey,
  { source, destination, hub }: Access,
): Promise<readonly MissingRight[]> {
  const asking = new Asking();
  if (hub !== undefined) await asking.ask(hub, plan.metadata.namespace ?? '', [records]);
  if (plan.spec.createNamespaces !== false) {
    const wanted = { group: '', resource: 'namespaces', verbs: ['create'] };
    await asking.ask(destination, '', [wanted]);
  }
  for (const { name, to } of plan.spec.namespaces) {
    await asking.ask(source, name, wantedAtSource(plan));
    await asking.ask(destination, to ?? name, wantedAtDestination(plan, survey));
  }
  return asking.missing;
}

class Asking {
  readonly missing: MissingRight[] = [];
  #asked = 0;

  async ask(client: KubeClient, namespace: string, wanted: readonly Wanted[]): Promise<void> {
    const everywhere = new Set<string>();
    for (const verb of new Set(wanted.flatMap(({ verbs }) => verbs))) {
      const all = { client, namespace, group: '*', resource: '*', verb };
      if (await this.#may(all)) everywhere.add(verb);
    }
    for (const { group, resource, verbs } of wanted) {
      const missing: string[] = [];
      for (const verb of verbs.filter((one) => !everywhere.has(one))) {
        if (!(await this.#may({ client, namespace, group, resource, verb }))) missing.push(verb);
      }
      if (missing.length === 0) continue;
      this.missing.push({ cluster: client.cluster, namespace, group, resource, verbs: missing });
    }
  }

  async #may(question: Question): Promise<boolean> {
    if (this.#asked >= questionsMax) return true;
    this.#asked++;
    return isAllowed(question);
  }
}
