/** Nobody grants what they do not have (Kubernetes RBAC, "Privilege escalation prevention"). */
import type { JsonObject } from '../schema/api.ts';
import { nameOf, objectAt, objectsAt, textAt } from './json.ts';
import type { Call } from './kernel.ts';
import type { Rule } from './authorizer.ts';
import { everything, masters, missingOf, rbacGroup, rulesOf } from './rbac.ts';
import { forbidden, notFound } from './status.ts';

/** Throws 403 for a role with rules that the writer lacks. */
export function requireHeldRules(call: Call, role: JsonObject): void {
  const { served } = call.resource;
  const name = nameOf(role);
  if (mayAnyway(call, 'escalate', served.plural, name)) return;
  requireRules(call, name, rulesOf(role));
  const selectors = objectsAt(objectAt(role, 'aggregationRule'), 'clusterRoleSelectors');
  if (selectors.length === 0) return;
  if (missingOf(heldBy(call), everything) === undefined) return;
  throw forbidden(served, name, 'must have cluster-admin privileges to use the aggregationRule');
}

/** Throws 403 for a binding to a role with rules that the writer lacks. */
export function requireHeldRole(call: Call, binding: JsonObject): void {
  const roleRef = objectAt(binding, 'roleRef');
  const plural = textAt(roleRef, 'kind') === 'ClusterRole' ? 'clusterroles' : 'roles';
  const role = textAt(roleRef, 'name');
  if (mayAnyway(call, 'bind', plural, role)) return;
  const rules = call.kernel.authorizer.referenced(roleRef, call.target.namespace);
  if (rules === undefined) throw notFound({ group: rbacGroup, plural }, role);
  requireRules(call, nameOf(binding), rules);
}

function mayAnyway(call: Call, verb: string, plural: string, name: string): boolean {
  const { user, target } = call;
  if (user.groups.includes(masters)) return true;
  const { allowed } = call.kernel.authorizer.decide({
    user,
    verb,
    group: rbacGroup,
    version: 'v1',
    resource: plural,
    subresource: '',
    namespace: target.namespace,
    name,
    path: undefined,
  });
  return allowed;
}

function heldBy({ kernel, user, target }: Call): readonly Rule[] {
  return kernel.authorizer.rules(user, target.namespace);
}

function requireRules(call: Call, name: string, rules: readonly Rule[]): void {
  const held = heldBy(call);
  const missing = rules.filter((rule) => missingOf(held, rule) !== undefined);
  if (missing.length === 0) return;
  const { user, resource } = call;
  const groups = user.groups.map((group) => JSON.stringify(group)).join(' ');
  throw forbidden(
    resource.served,
    name,
    `user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC ` +
      `permissions not currently held:\n${missing.map(formatRule).join('\n')}`,
  );
}

function formatRule(rule: Rule): string {
  const parts: readonly (readonly [string, readonly string[]])[] = [
    ['APIGroups', rule.apiGroups],
    ['Resources', rule.resources],
    ['ResourceNames', rule.resourceNames],
    ['NonResourceURLs', rule.nonResourceURLs],
    ['Verbs', rule.verbs],
  ];
  const texts = parts
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => `${name}:[${values.map((one) => JSON.stringify(one)).join(', ')}]`);
  return `{${texts.join(', ')}}`;
}
