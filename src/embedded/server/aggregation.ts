/** ClusterRoles with the rules of others, by labels (Kubernetes, "Aggregated ClusterRoles"). */
import type { Json, JsonObject } from '../schema/api.ts';
import { listAt, metaOf, nameOf, objectAt, objectsAt, sameJson } from './json.ts';
import { clusterRoleCollection } from './rbac.ts';
import { formatLabelSelector, parseLabelSelector } from './selector.ts';
import { StatusError } from './status.ts';
import type { Draft, Store } from './store.ts';

/** Keeps them right from now on. */
export function aggregateRoles(store: Store): void {
  const sync = (): void => {
    const roles = [...store.list({ prefix: clusterRoleCollection })].map((entry) => ({
      key: entry.key,
      role: store.read(entry),
    }));
    const drafts = roles.flatMap(({ key, role }): Draft[] => {
      if (!('aggregationRule' in role)) return [];
      const rules = gathered(
        role,
        roles.map((other) => other.role),
      );
      return sameJson(rules, listAt(role, 'rules')) ? [] : [{ key, object: { ...role, rules } }];
    });
    // A commit calls back here, once more, for roles that aggregate aggregated ones.
    store.commit(drafts);
  };
  store.onCommit(clusterRoleCollection, sync);
  sync();
}

function gathered(role: JsonObject, all: readonly JsonObject[]): readonly Json[] {
  const selectors = objectsAt(objectAt(role, 'aggregationRule'), 'clusterRoleSelectors');
  const rules: Json[] = [];
  for (const selector of selectors) {
    const selects = selectorOf(selector);
    for (const other of all) {
      if (nameOf(other) === nameOf(role)) continue;
      if (!selects(objectAt(metaOf(other), 'labels'))) continue;
      for (const rule of listAt(other, 'rules')) {
        if (!rules.some((known) => sameJson(known, rule))) rules.push(rule);
      }
    }
  }
  return rules;
}

function selectorOf(selector: JsonObject): (labels: JsonObject) => boolean {
  try {
    return parseLabelSelector(formatLabelSelector(selector)) ?? (() => true);
  } catch (error) {
    // One that cannot be read selects nothing.
    if (error instanceof StatusError) return () => false;
    throw error;
  }
}
