/** JSON patches of the user (RFC 6902), for objects they are meant for. */
import { applyPatch, type Operation } from 'rfc6902';
import { fail } from '../base/errors.ts';
import type { KubeObject } from '../kube/objects.ts';
import { fromLabelSelectorObject } from '../kube/selectors.ts';
import { isFields, sameJson } from './fields.ts';
import { groupOf } from './names.ts';
import type { Draft, PatchRule } from './transform-context.ts';

/** Of one rule; as many as servers take in one patch. */
const operationsMax = 10_000;
const known: ReadonlySet<unknown> = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);
/** What makes an object this object. */
const identity = ['apiVersion', 'kind'] as const;

/** `BadArgument` for rules that are none: nothing is transformed with half of them. */
export function checkRules(rules: readonly PatchRule[]): void {
  for (const [i, { kind, patch }] of rules.entries()) {
    const where = `rule ${i + 1}`;
    if (kind === '') fail('BadArgument', `${where} names no kind`);
    if (patch.length === 0 || patch.length > operationsMax) {
      fail('BadArgument', `${where} needs 1 to ${operationsMax} operations`);
    }
    for (const operation of patch) checkOperation(operation, where);
  }
}

function checkOperation(operation: unknown, where: string): void {
  if (!isFields(operation) || !known.has(operation['op'])) {
    return fail('BadArgument', `${where}: ${JSON.stringify(operation)} is no JSON patch operation`);
  }
  const { op, path, from } = operation;
  const pointers = op === 'move' || op === 'copy' ? [path, from] : [path];
  for (const pointer of pointers) {
    if (typeof pointer !== 'string' || !/^(\/([^~]|~[01])*)$/.test(pointer)) {
      fail('BadArgument', `${where}: ${JSON.stringify(pointer)} is no JSON pointer to a field`);
    }
    if (/\/(__proto__|constructor|prototype)(\/|$)/.test(String(pointer))) {
      fail('BadArgument', `${where}: ${String(pointer)} is no field of an object`);
    }
  }
  if (['add', 'replace', 'test'].includes(String(op)) && !Object.hasOwn(operation, 'value')) {
    fail('BadArgument', `${where}: the ${String(op)} operation needs a value`);
  }
}

function matches(rule: PatchRule, source: KubeObject): boolean {
  const { namespace = '', name = '', labels } = source.metadata;
  const pattern = (rule.name ?? '*').split('*').map((part) => part.replaceAll(/\W/g, '\\$&'));
  return (
    rule.kind === source.kind &&
    (rule.group ?? groupOf(source.apiVersion)) === groupOf(source.apiVersion) &&
    (rule.namespace ?? namespace) === namespace &&
    new RegExp(`^${pattern.join('.*')}$`, 's').test(name) &&
    (rule.labels === undefined || fromLabelSelectorObject(rule.labels)(labels))
  );
}

/**
 * Rules select the object as it is at the source, and change it as it will be. A `test` that does
 * not hold passes the rule over; any other failure refuses the object.
 */
export function applyRules(
  draft: Draft,
  source: KubeObject,
  rules: readonly PatchRule[],
): KubeObject {
  let { object } = draft;
  for (const [i, rule] of rules.entries()) {
    if (!matches(rule, source)) continue;
    object = applyRule({ ...draft, object }, rule, `rule ${i + 1}`);
  }
  return object;
}

function applyRule({ object, note }: Draft, rule: PatchRule, where: string): KubeObject {
  const target = structuredClone(object);
  for (const operation of rule.patch) {
    const [error] = applyPatch(target, [structuredClone(operation) as unknown as Operation]);
    if (error === null || error === undefined) continue;
    const field = String(operation['path']);
    if (error.name === 'TestError') {
      note('Warning', field, `${where} does not apply: its test does not hold`);
    } else {
      note('Refused', field, `${where}: ${error.message}`, 'Correct the path, or add it first.');
    }
    return object;
  }
  const { namespace, name } = target.metadata ?? {};
  const isSame =
    identity.every((field) => target[field] === object[field]) &&
    namespace === object.metadata.namespace &&
    typeof name === 'string' &&
    name !== '';
  if (!isSame) {
    const message = `${where} takes away the kind, the namespace or the name of the object`;
    note('Refused', 'metadata', message, 'Map namespaces in the plan; a rule changes the rest.');
    return object;
  }
  if (!sameJson(target, object)) note('Changed', '', `${where} of the plan`);
  return target;
}
