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

/** Of names that are cut: what is cut off, as letters that end no word of a name. */
const cutMark = /-x[0-9a-f]{8}$/;

/** The name of the one for a claim; the same in all migrations of the move. */
export function temporaryName(moveId: string, claim: string): string {
  const suffix = suffixOf(moveId);
  const isLong = claim.length > nameMax - suffix.length;
  return `${isLong ? shortened(claim, nameMax - suffix.length) : claim}${suffix}`;
}

function shortened(claim: string, max: number): string {
  const mark = `-x${createHash('sha256').update(claim).digest('hex').slice(0, 8)}`;
  return `${claim.slice(0, max - mark.length).replace(/[-.]+$/, '')}${mark}`;
}

/** The claim that this stands in for. Undefined: it is none of the move, or its name was cut. */
export function claimOfTemporary(moveId: string, name: string): string | undefined {
  const suffix = suffixOf(moveId);
  if (!name.endsWith(suffix)) return undefined;
  const claim = name.slice(0, -suffix.length);
  return cutMark.test(claim) ? undefined : claim;
}

/** Whichever move it was made for: one that failed may have left it. */
export function isTemporary({ metadata }: KubeObject, moveId: string): boolean {
  const { name = '', annotations } = metadata;
  const ids = [moveId, annotations?.[preparedFor]].filter((id) => id !== undefined);
  return ids.some((id) => name.endsWith(suffixOf(id)));
}
