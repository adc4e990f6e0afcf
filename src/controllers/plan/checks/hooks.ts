/** Hooks: each is there, in order, and runs in a namespace that is or will be there. */
import type { Check } from './check.ts';

export const hookChecks: readonly Check[] = [
  {
    id: 'HookNotFound',
    category: 'Critical',
    remedy: 'Make the Hook in the namespace of the plan, or correct spec.hooks.',
    find: ({ seen: { plan, hooks } }) =>
      (plan.spec.hooks ?? [])
        .filter(({ hook }) => !hooks.has(hook))
        .map(({ hook }) => `there is no Hook ${hook} in namespace ${plan.metadata.namespace}`),
  },
  {
    id: 'HookNamespace',
    category: 'Error',
    remedy: 'Make the namespace in the cluster where the hook runs, or correct the hook.',
    find: ({ seen: { plan, hooks, seenSource, seenDestination } }) => {
      if (hooks.size === 0) return [];
      if (seenSource === undefined || seenDestination === undefined) return undefined;
      const willBe = plan.spec.createNamespaces !== false;
      const made = plan.spec.namespaces.map(({ name, to }) => to ?? name);
      return [...hooks].flatMap(([name, { spec }]) => {
        const isAtSource = spec.target === 'Source';
        const known = (isAtSource ? seenSource : seenDestination).namespaces;
        if (known.has(spec.namespace)) return [];
        if (!isAtSource && willBe && made.includes(spec.namespace)) return [];
        const cluster = isAtSource ? plan.spec.source : plan.spec.destination;
        return [`hook ${name} runs in namespace ${spec.namespace}, which ${cluster} does not have`];
      });
    },
  },
];
