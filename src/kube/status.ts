/** Writing a status: only what differs, and only when something does. */
import { isDeepStrictEqual } from 'node:util';
import type { ConditionDraft, KubeClient } from './api.ts';
import { type Condition, keyOf, type KubeObject, type ResourceType } from './objects.ts';

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The merge patch (RFC 7386) that turns `before` into `now`; undefined when they are the same.
 * Lists are one value. What is `undefined` counts as absent.
 */
export function mergePatchOf(before: unknown, now: unknown): Fields | undefined {
  const old = isFields(before) ? before : {};
  const wanted = isFields(now) ? now : {};
  const patch: Record<string, unknown> = {};
  for (const name of Object.keys(old)) {
    if (old[name] !== undefined && wanted[name] === undefined) patch[name] = null;
  }
  for (const [name, value] of Object.entries(wanted)) {
    if (value === undefined || isDeepStrictEqual(old[name], value)) continue;
    if (isFields(value) && isFields(old[name])) {
      const inner = mergePatchOf(old[name], value);
      if (inner !== undefined) patch[name] = inner;
    } else patch[name] = value;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/**
 * Makes `status` what the object has. The patch carries no version, so that writers of other
 * objects' fields do not disturb it; it carries the uid, so that a successor of the same name is
 * not written to (`Conflict`). Resolves with the object as it then is.
 */
export async function writeStatus<T extends KubeObject & { readonly status?: object }>(
  client: KubeClient,
  type: ResourceType<T>,
  object: T,
  status: NonNullable<T['status']>,
): Promise<T> {
  const patch = mergePatchOf(object.status, status);
  if (patch === undefined) return object;
  const { uid } = object.metadata;
  const metadata = uid === undefined ? {} : { metadata: { uid } };
  return client.patchStatus(type, keyOf(object), { ...metadata, status: patch });
}

/**
 * The conditions with those drafts in them: in place where the type is there, else at the end. The
 * transition time changes with the status only.
 */
export function withConditions(
  before: readonly Condition[] | undefined,
  drafts: readonly ConditionDraft[],
  wallMs: number,
): readonly Condition[] {
  const conditions = [...(before ?? [])];
  for (const draft of drafts) {
    const at = conditions.findIndex(({ type }) => type === draft.type);
    const known = conditions[at];
    const lastTransitionTime =
      known?.status === draft.status
        ? known.lastTransitionTime
        : `${new Date(wallMs).toISOString().slice(0, 19)}Z`;
    const condition = { ...draft, lastTransitionTime };
    if (at < 0) conditions.push(condition);
    else conditions[at] = condition;
  }
  return conditions;
}
