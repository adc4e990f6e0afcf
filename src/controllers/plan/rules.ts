/** The rules of a plan as transformations take them. */
import type { Plan } from '../../api/kinds/plan.ts';
import { fail } from '../../base/errors.ts';
import { type Fields, isFields } from '../../workload/fields.ts';
import type { PatchRule } from '../../workload/transform-context.ts';

/** `BadArgument` for a patch that is no list of operations in JSON. */
export function patchRulesOf({ spec }: Plan): readonly PatchRule[] {
  return (spec.patches ?? []).map(({ labelSelector, patch, ...rule }, i) => ({
    ...rule,
    ...(labelSelector === undefined ? {} : { labels: labelSelector }),
    patch: operationsOf(patch, `patch ${i + 1}`),
  }));
}

function operationsOf(text: string, where: string): readonly Fields[] {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return fail('BadArgument', `${where} is not JSON`);
  }
  if (!Array.isArray(found)) return fail('BadArgument', `${where} is no list`);
  return found.map((one: unknown) =>
    isFields(one) ? one : fail('BadArgument', `${where} has an entry that is no operation`),
  );
}
