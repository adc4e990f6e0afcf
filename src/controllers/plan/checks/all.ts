/** The table of checks, in the order in which they are shown. */
import type { Check } from './check.ts';
import { clusterChecks } from './clusters.ts';
import { existingChecks } from './existing.ts';
import { hookChecks } from './hooks.ts';
import { imageChecks } from './images.ts';
import { namespaceChecks } from './namespaces.ts';
import { needChecks } from './needs.ts';
import { podChecks } from './pods.ts';
import { repositoryChecks } from './repository.ts';
import { rightChecks } from './rights.ts';
import { roomChecks } from './room.ts';
import { ruleChecks } from './rules.ts';
import { volumeChecks } from './volumes.ts';

export const allChecks: readonly Check[] = [
  ...clusterChecks,
  ...namespaceChecks,
  ...ruleChecks,
  ...hookChecks,
  ...imageChecks,
  ...volumeChecks,
  ...repositoryChecks,
  ...needChecks,
  ...existingChecks,
  ...rightChecks,
  ...roomChecks,
  ...podChecks,
];
