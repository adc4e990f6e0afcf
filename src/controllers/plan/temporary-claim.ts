/**
 * Claims that stand in for another of their own namespace until their volumes change places, as in
 * a storage conversion. They are no claims of the people, and no plan moves them.
 */
import { createHash } from 'node:crypto';
import type { KubeObject } from '../../kube/objects.ts';
import { preparedFor } from '../../workload/transform-context.ts';

const nameMax = 253;

function suffixOf(moveId: string): string {
  return `-ts-${createHash('sha256').update(moveId).digest('hex').slice(0, 6)}`;
}

/** The name of the one for a claim; the same in all migrations of the move. */
export function temporaryName(moveId: string, claim: string): string {
  const suffix = suffixOf(moveId);
  return `${claim.slice(0, nameMax - suffix.length)}${suffix}`;
}

/** Whichever move it was made for: one that failed may have left it. */
export function isTemporary({ metadata }: KubeObject, moveId: string): boolean {
  const { name = '', annotations } = metadata;
  const ids = [moveId, annotations?.[preparedFor]].filter((id) => id !== undefined);
  return ids.some((id) => name.endsWith(suffixOf(id)));
}
