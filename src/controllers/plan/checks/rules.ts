/** What the user wrote into the plan itself: selections, patches, image rules. */
import { asTransshipError } from '../../../base/errors.ts';
import { createImageRewriter } from '../../../workload/images.ts';
import { checkRules } from '../../../workload/patch-rules.ts';
import { createChooser } from '../../../workload/selection.ts';
import { patchRulesOf } from '../rules.ts';
import type { Check } from './check.ts';

function complaints(work: () => unknown): readonly string[] {
  try {
    work();
    return [];
  } catch (error) {
    return [asTransshipError(error).message];
  }
}

export const ruleChecks: readonly Check[] = [
  {
    id: 'InvalidResourceList',
    category: 'Critical',
    remedy: 'Write resources as PLURAL or PLURAL.GROUP, such as deployments.apps.',
    find: ({ seen: { plan } }) => complaints(() => createChooser(plan.spec.resources ?? {})),
  },
  {
    id: 'InvalidPatch',
    category: 'Critical',
    remedy: 'Correct spec.patches: each is a JSON patch (RFC 6902), written as JSON.',
    find: ({ seen: { plan } }) => complaints(() => checkRules(patchRulesOf(plan))),
  },
  {
    id: 'InvalidImageRule',
    category: 'Critical',
    remedy: 'Correct spec.mappings.images: a registry, a path that ends with `/`, or an image.',
    find: ({ seen: { plan } }) =>
      complaints(() => createImageRewriter(plan.spec.mappings?.images ?? [])),
  },
  {
    id: 'LiveMigrateNotYet',
    category: 'Warning',
    remedy: 'Stop the machines; the disks of stopped machines are claims as others are.',
    find: ({ seen: { plan } }) =>
      plan.spec.liveMigrate === true
        ? ['disks of running virtual machines cannot be moved without stopping them yet']
        : [],
  },
];
