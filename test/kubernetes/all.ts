import { accessCases } from './api/access.ts';
import { applyCases } from './api/apply.ts';
import { builtInCases } from './api/builtins.ts';
import { clientNodeCases } from './api/client-node.ts';
import { controllerCases } from './api/controllers.ts';
import { definitionCases } from './api/definitions.ts';
import { deletionCases } from './api/deletion.ts';
import { discoveryCases } from './api/discovery.ts';
import { formatCases } from './api/formats.ts';
import { installCases } from './api/install.ts';
import { listCases } from './api/lists.ts';
import { objectCases } from './api/objects.ts';
import { ourCases } from './api/ours.ts';
import { patchCases } from './api/patches.ts';
import { restartCases } from './api/restarts.ts';
import { ruleCases } from './api/rules.ts';
import { watchCases } from './api/watches.ts';
import type { Case } from './case.ts';
import { ourKubectlCases } from './kubectl/ours.ts';
import { readingCases } from './kubectl/reading.ts';
import { workloadCases } from './kubectl/workloads.ts';
import { writingCases } from './kubectl/writing.ts';

/** Every case there is, api first. */
export const allCases: readonly Case[] = [
  ...objectCases,
  ...patchCases,
  ...deletionCases,
  ...listCases,
  ...watchCases,
  ...formatCases,
  ...definitionCases,
  ...ruleCases,
  ...applyCases,
  ...builtInCases,
  ...accessCases,
  ...discoveryCases,
  ...controllerCases,
  ...ourCases,
  ...installCases,
  ...readingCases,
  ...writingCases,
  ...ourKubectlCases,
  ...workloadCases,
  ...clientNodeCases,
  ...restartCases,
];
