/**
 * From an object at the source to what will be applied at the destination. Pure: the same object
 * and context give the same, and what was transformed for a move is left as it is.
 */
import { fail } from '../base/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { withAt } from './fields.ts';
import { mapImageStream } from './image-streams.ts';
import { mapClaim, mapClaimUses, mapClasses, mapHosts, mapImages } from './map-fields.ts';
import { mapNamespaces } from './map-namespaces.ts';
import { applyRules, checkRules } from './patch-rules.ts';
import { stripKind } from './strip-kinds.ts';
import { stripMetadata } from './strip-metadata.ts';
import {
  type Draft,
  type Note,
  preparedFor,
  type Step,
  type TransformContext,
  type Transformed,
} from './transform-context.ts';
import { whyExcluded } from './exclusions.ts';
import { groupOf } from './names.ts';

export type Transform = (object: KubeObject) => Transformed;

const namespacePattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** `BadArgument` for a context that nothing could be made with. */
function checkContext({ id, namespaces, rules = [] }: TransformContext): void {
  if (id === '') fail('BadArgument', 'a transformation needs the id of its move');
  for (const [from, to] of Object.entries(namespaces)) {
    if (!namespacePattern.test(to)) {
      fail('BadArgument', `namespace ${from}: "${to}" is no name for a namespace`);
    }
  }
  checkRules(rules);
}

/** Reads the rules once, for many objects. */
export function createTransform(context: TransformContext): Transform {
  checkContext(context);
  // Claims and their users are found by source names, so these come before the namespaces.
  const steps: readonly Step[] = [
    stripMetadata,
    stripKind,
    mapClasses,
    mapClaimUses,
    mapClaim,
    mapImages(context),
    mapImageStream,
    mapHosts,
    mapNamespaces,
  ];
  return (source) => transformed(source, context, steps);
}

export function transform(object: KubeObject, context: TransformContext): Transformed {
  return createTransform(context)(object);
}

function transformed(
  source: KubeObject,
  context: TransformContext,
  steps: readonly Step[],
): Transformed {
  if (source.metadata.annotations?.[preparedFor] === context.id) {
    return { object: source, notes: [] };
  }
  const notes: Note[] = [];
  const draftOf = (object: KubeObject): Draft => ({
    object,
    note: (kind, field, message, remedy = '') => void notes.push({ kind, field, message, remedy }),
  });
  const refusal = whyRefused(source, context);
  if (refusal !== undefined) return { object: undefined, notes: [refusal] };
  let object = source;
  for (const step of steps) object = step(draftOf(object), context);
  object = applyRules(draftOf(object), source, context.rules ?? []);
  warnOfNodes(draftOf(object));
  if (notes.some(({ kind }) => kind === 'Refused')) return { object: undefined, notes };
  return { object: withAt(object, ['metadata', 'annotations', preparedFor], context.id), notes };
}

function whyRefused(source: KubeObject, { serves }: TransformContext): Note | undefined {
  const { apiVersion, kind } = source;
  const why = whyExcluded(groupOf(apiVersion), source);
  if (why !== undefined) {
    return { kind: 'Refused', field: '', message: `it is never copied: ${why}`, remedy: '' };
  }
  if (serves === undefined || serves(apiVersion, kind)) return undefined;
  return {
    kind: 'Refused',
    field: 'apiVersion',
    message: `the destination does not serve ${kind} of ${apiVersion}`,
    remedy: 'Install or upgrade what serves this kind at the destination, or exclude the kind.',
  };
}

/** Names of nodes mean other machines there, or none. */
function warnOfNodes({ object, note }: Draft): void {
  const text = JSON.stringify(object);
  const asks = ['"kubernetes.io/hostname":', '"key":"kubernetes.io/hostname"'];
  if (!asks.some((one) => text.includes(one))) return;
  const message = 'it asks for a node by name';
  note('Warning', 'spec', message, 'Change it with a rule of your own, or label a node like it.');
}
