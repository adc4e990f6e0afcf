/**
 * ResourceQuotas on the number of pods (Kubernetes documentation, "Resource Quotas"): `pods` counts
 * those that have not ended, `count/pods` all. Other resources are kept and shown, not enforced;
 * quotas with scopes are not enforced either.
 */
import type { JsonObject } from '../schema/api.ts';
import { parseQuantity } from '../schema/quantity.ts';
import { metaOf, nameOf, objectAt, textAt } from './json.ts';
import type { Call } from './kernel.ts';
import { forbidden } from './status.ts';

const nano = 1_000_000_000n;

/** The resource as its quota names it, and which pods count. */
const counted: Readonly<Record<string, (pod: JsonObject, nowMs: number) => boolean>> = {
  'count/pods': () => true,
  pods: (pod, nowMs) => !hasEnded(pod) && !isOverdue(pod, nowMs),
};

function hasEnded(pod: JsonObject): boolean {
  return ['Succeeded', 'Failed'].includes(textAt(objectAt(pod, 'status'), 'phase'));
}

/** Its node should have ended it long ago, and is not heard of. */
function isOverdue(pod: JsonObject, nowMs: number): boolean {
  const meta = metaOf(pod);
  const since = Date.parse(textAt(meta, 'deletionTimestamp'));
  const graceMs = Number(meta['deletionGracePeriodSeconds'] ?? 0) * 1000;
  return !Number.isNaN(since) && nowMs > since + graceMs;
}

function listed({ kernel, target }: Call, plural: string): JsonObject[] {
  const prefix = `//${plural}/${target.namespace}/`;
  return [...kernel.store.list({ prefix })].map((entry) => kernel.store.read(entry));
}

function usedOf(call: Call, names: readonly string[]): Readonly<Record<string, number>> {
  const pods = listed(call, 'pods');
  const nowMs = call.kernel.clock.wallMs();
  return Object.fromEntries(
    names.map((name) => {
      const counts = counted[name];
      const count = counts === undefined ? 0 : pods.filter((pod) => counts(pod, nowMs)).length;
      return [name, count];
    }),
  );
}

/** 403 in a real server's words when one pod more is too many. */
export function requireQuota(call: Call, pod: JsonObject): void {
  for (const quota of listed(call, 'resourcequotas')) {
    const spec = objectAt(quota, 'spec');
    if ('scopes' in spec || 'scopeSelector' in spec) continue;
    const hard = objectAt(spec, 'hard');
    const names = Object.keys(counted).filter((name) => name in hard);
    if (names.length === 0) continue;
    const used = usedOf(call, names);
    const exceeded = names.filter((name) => {
      const limit = parseQuantity(String(hard[name]))?.nanos;
      return limit !== undefined && BigInt((used[name] ?? 0) + 1) * nano > limit;
    });
    if (exceeded.length === 0) continue;
    const told = (value: (name: string) => unknown): string =>
      exceeded.map((name) => `${name}=${String(value(name))}`).join(',');
    const why =
      `exceeded quota: ${nameOf(quota)}, requested: ${told(() => 1)}, ` +
      `used: ${told((name) => used[name] ?? 0)}, limited: ${told((name) => hard[name])}`;
    throw forbidden(call.resource.served, nameOf(pod), why);
  }
}

/** What is in force and what is used of it, as of this write; a controller keeps it current. */
export function countedQuota(call: Call, quota: JsonObject): JsonObject {
  const hard = objectAt(objectAt(quota, 'spec'), 'hard');
  const used = Object.entries(usedOf(call, Object.keys(hard)));
  const texts = Object.fromEntries(used.map(([name, count]) => [name, String(count)]));
  return { ...quota, status: { hard, used: texts } };
}
