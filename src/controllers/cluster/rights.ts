/** Which of the rights that an installation grants the controllers do not have. */
import type { KubeClient } from '../../kube/api.ts';
import type { PolicyRule } from '../../kube/rights.ts';
import { valueAt } from '../../workload/fields.ts';
import { controllerRules, controllerSystemRules, systemNamespace } from '../installation.ts';

const reviews = '/apis/authorization.k8s.io/v1';
/** No binding is ever in it, so what holds there holds everywhere. */
const nowhere = 'transship-nowhere';

interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  readonly name?: string;
  /** Undefined: everywhere. */
  readonly namespace?: string;
}

/** As docs/reference/rights.md has them, one for each verb: `create persistentvolumes`. */
export async function missingRights(client: KubeClient): Promise<readonly string[]> {
  const everywhere = rightsOf(controllerRules);
  const inSystem = rightsOf(controllerSystemRules).map((right) => {
    return { ...right, namespace: systemNamespace };
  });
  const missing: string[] = [];
  for (const [namespace, rights] of [
    [nowhere, everywhere],
    [systemNamespace, inSystem],
  ] as const) {
    const rules = await rulesIn(client, namespace);
    for (const right of rights) {
      if (rules.some((rule) => covers(rule, right))) continue;
      // Rules tell of roles only; other authorizers may allow it all the same.
      if (!(await isAllowed(client, right))) missing.push(textOf(right));
    }
  }
  return missing;
}

function rightsOf(rules: readonly PolicyRule[]): readonly Right[] {
  return rules.flatMap(({ apiGroups = [], resources = [], verbs, resourceNames }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb): readonly Right[] =>
          resourceNames === undefined
            ? [{ group, resource, verb }]
            : resourceNames.map((name) => ({ group, resource, verb, name })),
        ),
      ),
    ),
  );
}

async function rulesIn(client: KubeClient, namespace: string): Promise<readonly PolicyRule[]> {
  const review = await client.request('POST', `${reviews}/selfsubjectrulesreviews`, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectRulesReview',
    spec: { namespace },
  });
  const rules = valueAt(review, ['status', 'resourceRules']);
  return Array.isArray(rules) ? (rules as readonly PolicyRule[]) : [];
}

function covers({ apiGroups, resources, verbs, resourceNames }: PolicyRule, right: Right): boolean {
  const has = (list: readonly string[] | undefined, word: string): boolean =>
    list?.some((one) => one === '*' || one === word) === true;
  const isNamed =
    (resourceNames?.length ?? 0) === 0 ||
    (right.name !== undefined && resourceNames?.includes(right.name) === true);
  return (
    isNamed &&
    has(apiGroups, right.group) &&
    has(resources, right.resource) &&
    has(verbs, right.verb)
  );
}

async function isAllowed(client: KubeClient, right: Right): Promise<boolean> {
  const { group, verb, name, namespace } = right;
  const [resource, subresource] = right.resource.split('/');
  const review = await client.request('POST', `${reviews}/selfsubjectaccessreviews`, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: {
      resourceAttributes: {
        group,
        resource,
        verb,
        ...(subresource === undefined ? {} : { subresource }),
        ...(name === undefined ? {} : { name }),
        ...(namespace === undefined ? {} : { namespace }),
      },
    },
  });
  return valueAt(review, ['status', 'allowed']) === true;
}

function textOf({ group, resource, verb, name, namespace }: Right): string {
  const what = group === '' ? resource : `${resource}.${group}`;
  const named = name === undefined ? '' : ` ${name}`;
  return `${verb} ${what}${named}${namespace === undefined ? '' : ` in ${namespace}`}`;
}
