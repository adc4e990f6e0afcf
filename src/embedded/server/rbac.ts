/** Role-based access control (Kubernetes, "Using RBAC Authorization"). */
import type { JsonObject } from '../schema/api.ts';
import type { UserInfo } from './api.ts';
import type { Attributes, Authorizer, Decision, Rule } from './authorizer.ts';
import { metaOf, nameOf, objectAt, objectsAt, textAt, textsAt } from './json.ts';
import type { Store } from './store.ts';

export const rbacGroup = 'rbac.authorization.k8s.io';
export const masters = 'system:masters';

export function ruleOf(object: JsonObject): Rule {
  return {
    verbs: textsAt(object, 'verbs'),
    apiGroups: textsAt(object, 'apiGroups'),
    resources: textsAt(object, 'resources'),
    resourceNames: textsAt(object, 'resourceNames'),
    nonResourceURLs: textsAt(object, 'nonResourceURLs'),
  };
}

export function rulesOf(role: JsonObject | undefined): readonly Rule[] {
  return objectsAt(role, 'rules').map(ruleOf);
}

export const everything: Rule = {
  verbs: ['*'],
  apiGroups: ['*'],
  resources: ['*'],
  resourceNames: [],
  nonResourceURLs: [],
};
const everyPath: Rule = { ...everything, apiGroups: [], resources: [], nonResourceURLs: ['*'] };

export const clusterRoleCollection = `/${rbacGroup}/clusterroles/`;
const roleCollection = `/${rbacGroup}/roles/`;
const clusterBindingCollection = `/${rbacGroup}/clusterrolebindings/`;
const bindingCollection = `/${rbacGroup}/rolebindings/`;

interface Grant {
  readonly subjects: readonly JsonObject[];
  /** Of subjects that do not say. */
  readonly namespace: string;
  readonly rules: readonly Rule[];
  /** For people: by what. */
  readonly by: string;
}

/** A rule of a user, and where it comes from. */
interface Held {
  readonly rule: Rule;
  readonly by: string;
}

export class Rbac implements Authorizer {
  readonly #store: Store;
  /** Grants by namespace; '' for those of the whole cluster. Made when they are needed. */
  #grants: Map<string, Grant[]> | undefined;

  constructor(store: Store) {
    this.#store = store;
    const collections = [
      clusterRoleCollection,
      roleCollection,
      clusterBindingCollection,
      bindingCollection,
    ];
    for (const collection of collections) {
      store.onCommit(collection, () => {
        this.#grants = undefined;
      });
    }
  }

  decide(attributes: Attributes): Decision {
    const { user } = attributes;
    if (user.groups.includes(masters)) return { allowed: true, reason: '' };
    for (const { rule, by } of this.#held(user, attributes.namespace)) {
      if (allows(rule, attributes)) return { allowed: true, reason: by };
    }
    return { allowed: false, reason: '' };
  }

  rules(user: UserInfo, namespace: string): readonly Rule[] {
    const rules = [...this.#held(user, namespace)].map(({ rule }) => rule);
    return user.groups.includes(masters) ? [everything, everyPath, ...rules] : rules;
  }

  *#held(user: UserInfo, namespace: string): Generator<Held, void, undefined> {
    const grants = this.#allGrants();
    for (const place of namespace === '' ? [''] : ['', namespace]) {
      for (const grant of grants.get(place) ?? []) {
        const subject = grant.subjects.find((one) => isSubject(one, user, grant.namespace));
        if (subject === undefined) continue;
        const to = `${textAt(subject, 'kind')} "${textAt(subject, 'name')}"`;
        for (const rule of grant.rules) yield { rule, by: `RBAC: allowed by ${grant.by} to ${to}` };
      }
    }
  }

  referenced(roleRef: JsonObject, namespace: string): readonly Rule[] | undefined {
    const name = textAt(roleRef, 'name');
    const isCluster = textAt(roleRef, 'kind') === 'ClusterRole';
    const key = isCluster
      ? `${clusterRoleCollection}/${name}`
      : `${roleCollection}${namespace}/${name}`;
    const role = this.#store.getObject(key);
    return role === undefined ? undefined : rulesOf(role);
  }

  #allGrants(): Map<string, Grant[]> {
    if (this.#grants !== undefined) return this.#grants;
    const grants = new Map<string, Grant[]>();
    for (const prefix of [clusterBindingCollection, bindingCollection]) {
      for (const entry of this.#store.list({ prefix })) {
        const binding = this.#store.read(entry);
        const namespace = textAt(metaOf(binding), 'namespace');
        const list = grants.get(namespace) ?? [];
        grants.set(namespace, list);
        list.push(this.#grantOf(binding, namespace));
      }
    }
    this.#grants = grants;
    return grants;
  }

  #grantOf(binding: JsonObject, namespace: string): Grant {
    const roleRef = objectAt(binding, 'roleRef');
    const role = `${textAt(roleRef, 'kind')} "${textAt(roleRef, 'name')}"`;
    const kind = namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding';
    const place = namespace === '' ? nameOf(binding) : `${nameOf(binding)}/${namespace}`;
    return {
      subjects: objectsAt(binding, 'subjects'),
      namespace,
      rules: this.referenced(roleRef, namespace) ?? [],
      by: `${kind} "${place}" of ${role}`,
    };
  }
}

function isSubject(subject: JsonObject, user: UserInfo, namespace: string): boolean {
  const name = textAt(subject, 'name');
  switch (textAt(subject, 'kind')) {
    case 'User':
      return user.name === name;
    case 'Group':
      return user.groups.includes(name);
    case 'ServiceAccount': {
      const of = textAt(subject, 'namespace') || namespace;
      return of !== '' && user.name === `system:serviceaccount:${of}:${name}`;
    }
    default:
      return false;
  }
}

const has = (list: readonly string[], value: string): boolean =>
  list.includes('*') || list.includes(value);

/** Does the rule allow it? */
export function allows(rule: Rule, asked: Attributes): boolean {
  if (!has(rule.verbs, asked.verb)) return false;
  if (asked.path !== undefined) {
    const { path } = asked;
    return rule.nonResourceURLs.some((url) => coversUrl(url, path));
  }
  if (!has(rule.apiGroups, asked.group)) return false;
  if (!coversResource(rule.resources, asked.resource, asked.subresource)) return false;
  return rule.resourceNames.length === 0 || rule.resourceNames.includes(asked.name);
}

function coversResource(
  resources: readonly string[],
  resource: string,
  subresource: string,
): boolean {
  if (resources.includes('*')) return true;
  if (subresource === '') return resources.includes(resource);
  return resources.includes(`${resource}/${subresource}`) || resources.includes(`*/${subresource}`);
}

function coversUrl(url: string, path: string): boolean {
  if (url === '*' || url === path) return true;
  return url.endsWith('*') && path.startsWith(url.slice(0, -1));
}

/** The part of `wanted` that `held` does not allow; undefined: nothing is missing. */
export function missingOf(held: readonly Rule[], wanted: Rule): Rule | undefined {
  const isHeld = atomsOf(wanted).every((atom) => held.some((rule) => allows(rule, atom)));
  return isHeld ? undefined : wanted;
}

const nobody: UserInfo = { name: '', groups: [] };

/** Every single thing a rule allows; wildcards are things of their own. */
function atomsOf(rule: Rule): readonly Attributes[] {
  const base = { user: nobody, version: '', namespace: '', subresource: '', name: '', group: '' };
  const urls = rule.verbs.flatMap((verb) =>
    rule.nonResourceURLs.map((path) => ({ ...base, verb, resource: '', path })),
  );
  const names = rule.resourceNames.length === 0 ? [''] : rule.resourceNames;
  const resources = rule.verbs.flatMap((verb) =>
    rule.apiGroups.flatMap((group) =>
      rule.resources.flatMap((text) => {
        const at = text.indexOf('/');
        const resource = at < 0 ? text : text.slice(0, at);
        const subresource = at < 0 ? '' : text.slice(at + 1);
        return names.map((name) => {
          return { ...base, verb, group, resource, subresource, name, path: undefined };
        });
      }),
    ),
  );
  return [...urls, ...resources];
}
