/**
 * `x-kubernetes-validations`: CEL rules of CRDs, compiled when the definition is read, run after
 * the schema's own checks found nothing that blocks them. Rules about `oldSelf` run on updates,
 * where the old value of the same field, map key or list-map item is known.
 */
import { Environment, Optional } from '@marcbachmann/cel-js';
import type { FieldError, Json, JsonObject } from '../api.ts';
import { typeName } from '../check.ts';
import { duplicate, forbidden, invalid, required } from '../field-errors.ts';
import { at, equal, isArray, isObject, type MutableObject, own, textAt } from '../json.ts';
import type { SchemaNode } from '../node.ts';
import { itemElement } from '../structured.ts';
import { undefinedField, undefinedFieldWords } from './fields.ts';
import { addKubernetesFunctions } from './functions.ts';
import { type CelConversions, toCel } from './values.ts';

/** Rules one schema may have (Kubernetes limits their cost instead). */
const rulesMax = 1000;
const ruleLengthMax = 10_000;

type Evaluate = (context: { readonly self: unknown; readonly oldSelf?: unknown }) => unknown;

interface Rule {
  readonly evaluate: Evaluate;
  readonly text: string;
  readonly message: string;
  readonly messageExpression: Evaluate | undefined;
  readonly fieldPath: string;
  readonly reason: string;
  readonly isTransition: boolean;
  readonly optionalOld: boolean;
}

interface RuleNode {
  readonly node: SchemaNode;
  readonly rules: readonly Rule[];
  readonly properties: readonly (readonly [string, RuleNode])[];
  readonly additional: RuleNode | undefined;
  readonly items: RuleNode | undefined;
}

export type RuleCheck = (object: JsonObject, old: JsonObject | undefined) => readonly FieldError[];

/** Compiles all rules of CRDs in one environment. */
export class RuleCompiler {
  readonly #envs: Environments;
  readonly #by: CelConversions;

  constructor() {
    this.#envs = { plain: environment('dyn'), optionalOld: environment('optional<dyn>') };
    const duration = new Environment().registerVariable('text', 'string').parse('duration(text)');
    this.#by = {
      duration: (text) => {
        try {
          return duration({ text });
        } catch {
          return undefined;
        }
      },
    };
  }

  /** A check of whole objects, undefined where there is no rule, or what is wrong with them. */
  compile(node: SchemaNode, path: string): RuleCheck | undefined | readonly FieldError[] {
    const reader = new RuleReader(this.#envs);
    const root = reader.read(node, path);
    if (reader.errors.length > 0) return reader.errors;
    if (root === undefined) return undefined;
    return (object, old) => {
      const run = new RuleRun(this.#by, old !== undefined);
      run.visit(root, visible(object), old === undefined ? undefined : visible(old), '');
      return run.errors;
    };
  }
}

interface Environments {
  readonly plain: Environment;
  /** For rules with `optionalOldSelf`. */
  readonly optionalOld: Environment;
}

function environment(oldSelf: string): Environment {
  const options = { homogeneousAggregateLiterals: false, enableOptionalTypes: true };
  const made = new Environment(options)
    .registerVariable('self', 'dyn')
    .registerVariable('oldSelf', oldSelf);
  addKubernetesFunctions(made);
  return made;
}

/** Of metadata rules see the name alone. */
function visible(object: JsonObject): JsonObject {
  const { metadata, ...rest } = object;
  const shown: MutableObject = {};
  for (const key of ['name', 'generateName']) {
    const value = at(metadata, key);
    if (value !== undefined) shown[key] = value;
  }
  return { ...rest, metadata: shown };
}

class RuleReader {
  readonly errors: FieldError[] = [];
  readonly #envs: Environments;
  #count = 0;

  constructor(envs: Environments) {
    this.#envs = envs;
  }

  /** Undefined where there is no rule below. */
  read(node: SchemaNode, path: string): RuleNode | undefined {
    if (node.builtIn) return undefined;
    const rules = this.#rules(node, `${path}.x-kubernetes-validations`);
    const properties: (readonly [string, RuleNode])[] = [];
    for (const [key, child] of node.properties) {
      const read = this.read(child, `${path}.properties[${key}]`);
      if (read !== undefined) properties.push([key, read]);
    }
    const { additional, items } = node;
    const below = {
      additional:
        additional === undefined
          ? undefined
          : this.read(additional, `${path}.additionalProperties`),
      items: items === undefined ? undefined : this.read(items, `${path}.items`),
    };
    const isEmpty = rules.length === 0 && properties.length === 0;
    if (isEmpty && below.additional === undefined && below.items === undefined) return undefined;
    return { node, rules, properties, ...below };
  }

  #rules(node: SchemaNode, path: string): readonly Rule[] {
    const list = node.schema['x-kubernetes-validations'];
    if (!isArray(list)) return [];
    this.#count += list.length;
    if (this.#count > rulesMax) {
      this.errors.push(forbidden(path, `a schema may have ${rulesMax} rules`));
      return [];
    }
    return list.flatMap((rule, i) => {
      const read = isObject(rule) ? this.#rule(node, rule, `${path}[${i}]`) : undefined;
      return read === undefined ? [] : [read];
    });
  }

  #rule(node: SchemaNode, rule: JsonObject, path: string): Rule | undefined {
    const text = textAt(rule, 'rule') ?? '';
    if (text.trim() === '') {
      this.errors.push(required(`${path}.rule`, 'rule is not specified'));
      return undefined;
    }
    const optionalOld = rule['optionalOldSelf'] === true;
    const source = { node, optionalOld };
    const evaluate = this.#expression(text, 'bool', { ...source, path: `${path}.rule` });
    const expression = textAt(rule, 'messageExpression');
    const messageExpression =
      expression === undefined || expression === ''
        ? undefined
        : this.#expression(expression, 'string', {
            ...source,
            path: `${path}.messageExpression`,
          });
    if (evaluate === undefined) return undefined;
    return {
      evaluate,
      text,
      message: (textAt(rule, 'message') ?? '').trim(),
      messageExpression,
      fieldPath: textAt(rule, 'fieldPath') ?? '',
      reason: textAt(rule, 'reason') ?? 'FieldValueInvalid',
      isTransition: /\boldSelf\b/.test(text.replaceAll(/'[^']*'|"[^"]*"/g, '')),
      optionalOld,
    };
  }

  #expression(
    text: string,
    wanted: string,
    place: { readonly path: string; readonly node: SchemaNode; readonly optionalOld: boolean },
  ): Evaluate | undefined {
    const fails = (why: string): undefined => {
      this.errors.push(invalid(place.path, text, why));
      return undefined;
    };
    if (text.length > ruleLengthMax) return fails(`may be ${ruleLengthMax} characters long`);
    try {
      const env = place.optionalOld ? this.#envs.optionalOld : this.#envs.plain;
      const parsed = env.parse(text);
      const unknown = undefinedField(parsed.ast, place.node, place);
      if (unknown !== undefined) return fails(undefinedFieldWords(text, unknown));
      const { valid, type = '', error } = parsed.check();
      if (!valid) return fails(`compilation failed: ${error?.message ?? ''}`);
      if (type === wanted || type === 'dyn') return parsed as Evaluate;
      return fails(`must evaluate to a ${wanted}`);
    } catch (error) {
      return fails(`compilation failed: ${error instanceof Error ? error.message : ''}`);
    }
  }
}

class RuleRun {
  readonly errors: FieldError[] = [];
  readonly #by: CelConversions;
  readonly #isUpdate: boolean;

  constructor(by: CelConversions, isUpdate: boolean) {
    this.#by = by;
    this.#isUpdate = isUpdate;
  }

  visit(rules: RuleNode, value: Json, old: Json | undefined, path: string): void {
    if (value === null) return;
    if (rules.rules.length > 0) this.#check(rules, value, old, path);
    if (isObject(value)) this.#fields(rules, value, { old, path });
    else if (isArray(value)) this.#items(rules, value, { old, path });
  }

  #fields(rules: RuleNode, value: JsonObject, at: Place): void {
    const before = isObject(at.old) ? at.old : {};
    for (const [key, child] of rules.properties) {
      const inner = own(value, key);
      if (inner === undefined) continue;
      this.visit(child, inner, own(before, key), at.path === '' ? key : `${at.path}.${key}`);
    }
    if (rules.additional === undefined) return;
    for (const key of Object.keys(value)) {
      this.visit(rules.additional, value[key] ?? null, own(before, key), `${at.path}.${key}`);
    }
  }

  #items(rules: RuleNode, value: readonly Json[], { old, path }: Place): void {
    const { items, node } = rules;
    if (items === undefined) return;
    const before = new Map<string, Json>();
    if (node.list === 'map' && isArray(old)) {
      old.forEach((item, i) => before.set(itemElement(node, item, i), item));
    }
    value.forEach((item, i) => {
      this.visit(items, item, before.get(itemElement(node, item, i)), `${path}[${i}]`);
    });
  }

  #check({ rules, node }: RuleNode, value: Json, old: Json | undefined, path: string): void {
    const self = toCel(node, value, this.#by);
    const oldSelf = old === undefined ? undefined : toCel(node, old, this.#by);
    const isSame = old !== undefined && equal(value, old);
    for (const rule of rules) {
      // What did not change is not judged again by rules that came later.
      if (isSame && !rule.isTransition) continue;
      if (rule.isTransition && !rule.optionalOld && oldSelf === undefined) continue;
      const optional = oldSelf === undefined ? Optional.none() : Optional.of(oldSelf);
      const context = rule.optionalOld ? { self, oldSelf: optional } : { self, oldSelf };
      if (rule.optionalOld && rule.isTransition && !this.#isUpdate && oldSelf !== undefined)
        continue;
      this.#run(rule, context, value, path);
    }
  }

  #run(rule: Rule, context: Parameters<Evaluate>[0], value: Json, path: string): void {
    const place = rule.fieldPath === '' ? path : `${path}${rule.fieldPath}`.replace(/^\./, '');
    // Of the whole object, as servers say it.
    const field = place === '' ? '<nil>' : place;
    const fails = (detail: string): void => {
      this.errors.push(ruleError(rule.reason, field, value, detail));
    };
    try {
      if (rule.evaluate(context) === true) return;
    } catch (error) {
      const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : '';
      const words = `${why.replace(/^No such key/, 'no such key')} evaluating rule: `;
      const detail = `${words}${rule.message || rule.text}`;
      this.errors.push(invalid(field, isScalar(value) ? value : typeName(value), detail));
      return;
    }
    fails(messageOf(rule, context));
  }
}

interface Place {
  readonly old: Json | undefined;
  readonly path: string;
}

function messageOf(rule: Rule, context: Parameters<Evaluate>[0]): string {
  const fallback = rule.message === '' ? `failed rule: ${rule.text}` : rule.message;
  if (rule.messageExpression === undefined) return fallback;
  try {
    const text = rule.messageExpression(context);
    return typeof text === 'string' && text.trim() !== '' ? text : fallback;
  } catch {
    return fallback;
  }
}

function isScalar(value: Json): boolean {
  return typeof value !== 'object';
}

/** Objects and lists are not shown: they may be long. */
function ruleError(reason: string, field: string, value: Json, detail: string): FieldError {
  switch (reason) {
    case 'FieldValueForbidden':
      return forbidden(field, detail);
    case 'FieldValueRequired':
      return required(field, detail);
    case 'FieldValueDuplicate':
      return duplicate(field, typeName(value));
    default:
      if (isScalar(value)) return invalid(field, value, detail);
      return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${detail}` };
  }
}
