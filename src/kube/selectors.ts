/**
 * Label and field selectors: the text form of queries, the object form of specs, and what they
 * match (Kubernetes documentation, "Labels and Selectors" and "Field Selectors"). Text that is not
 * a selector is `BadArgument`.
 */
import { fail } from '../base/errors.ts';

export type LabelOperator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Empty for `Exists` and `DoesNotExist`; one integer for `Gt` and `Lt`. */
  readonly values: readonly string[];
}

/** `metav1.LabelSelector`. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export type Labels = Readonly<Record<string, string>>;
export type LabelMatcher = (labels: Labels | undefined) => boolean;

export interface FieldRequirement {
  /** `metadata.name`, `spec.nodeName`, … */
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

const labelNamePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const prefixPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const prefixLengthMax = 253;

/** A label key: an optional DNS prefix and `/`, then a name. */
export function isLabelKey(text: string): boolean {
  const at = text.indexOf('/');
  if (at < 0) return labelNamePattern.test(text);
  const prefix = text.slice(0, at);
  return (
    prefix.length <= prefixLengthMax &&
    prefixPattern.test(prefix) &&
    labelNamePattern.test(text.slice(at + 1))
  );
}

/** A label value: empty, or like the name of a key. */
export function isLabelValue(text: string): boolean {
  return text === '' || labelNamePattern.test(text);
}

const tokenPattern = /\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)/y;

function tokensOf(text: string): string[] {
  const tokens: string[] = [];
  const pattern = new RegExp(tokenPattern);
  const length = text.trimEnd().length;
  while (pattern.lastIndex < length) {
    const match = pattern.exec(text);
    if (match?.[1] === undefined) break;
    tokens.push(match[1]);
  }
  return tokens;
}

const isWord = (token: string | undefined): token is string =>
  token !== undefined && !/^[=!<>(),]/.test(token);

/** Reads one selector from left to right. */
class SelectorReader {
  readonly #text: string;
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  readAll(): LabelRequirement[] {
    const all: LabelRequirement[] = [];
    if (this.#tokens.length === 0) return all;
    for (;;) {
      all.push(this.#readOne());
      if (this.#at === this.#tokens.length) return all;
      this.#expect(',');
    }
  }

  #readOne(): LabelRequirement {
    if (this.#accept('!'))
      return checked({ key: this.#word(), operator: 'DoesNotExist', values: [] });
    const key = this.#word();
    const token = this.#tokens[this.#at];
    if (token === undefined || token === ',')
      return checked({ key, operator: 'Exists', values: [] });
    this.#at++;
    switch (token) {
      case '=':
      case '==':
        return checked({ key, operator: 'In', values: [this.#value()] });
      case '!=':
        return checked({ key, operator: 'NotIn', values: [this.#value()] });
      case '>':
        return checked({ key, operator: 'Gt', values: [this.#word()] });
      case '<':
        return checked({ key, operator: 'Lt', values: [this.#word()] });
      case 'in':
        return checked({ key, operator: 'In', values: this.#set() });
      case 'notin':
        return checked({ key, operator: 'NotIn', values: this.#set() });
      default:
        return this.#refuse(`"${token}" is no operator`);
    }
  }

  #accept(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #expect(token: string): void {
    if (!this.#accept(token)) this.#refuse(`"${token}" was expected after item ${this.#at}`);
  }

  #word(): string {
    const token = this.#tokens[this.#at];
    if (!isWord(token)) return this.#refuse(`a name was expected after item ${this.#at}`);
    this.#at++;
    return token;
  }

  /** May be empty: `key=` asks for the empty value. */
  #value(): string {
    return isWord(this.#tokens[this.#at]) ? this.#word() : '';
  }

  #set(): string[] {
    this.#expect('(');
    const values = [this.#value()];
    while (this.#accept(',')) values.push(this.#value());
    this.#expect(')');
    return values;
  }

  #refuse(why: string): never {
    return fail('BadArgument', `label selector "${this.#text}": ${why}`);
  }
}

function checked(requirement: LabelRequirement): LabelRequirement {
  const { key, operator, values } = requirement;
  if (!isLabelKey(key)) fail('BadArgument', `label selector: "${key}" is no label key`);
  for (const value of values) {
    if (operator === 'Gt' || operator === 'Lt') {
      if (!/^-?\d{1,18}$/.test(value)) {
        fail('BadArgument', `label selector: ${key} is compared with "${value}", not an integer`);
      }
    } else if (!isLabelValue(value)) {
      fail('BadArgument', `label selector: "${value}" is no label value`);
    }
  }
  return requirement;
}

/** The requirements of `a=b,c in (d,e),!f`; none for empty text, which matches everything. */
export function parseLabelRequirements(text: string): readonly LabelRequirement[] {
  return new SelectorReader(text).readAll();
}

export function labelRequirementsText(requirements: readonly LabelRequirement[]): string {
  return requirements.map(requirementText).join(',');
}

function requirementText({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'Gt':
      return `${key}>${values[0]}`;
    case 'Lt':
      return `${key}<${values[0]}`;
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(',')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(',')})`;
  }
}

function meets(labels: Labels, { key, operator, values }: LabelRequirement): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Gt':
      return isInteger(value) && BigInt(value) > BigInt(values[0] ?? '0');
    case 'Lt':
      return isInteger(value) && BigInt(value) < BigInt(values[0] ?? '0');
  }
}

function isInteger(value: string | undefined): value is string {
  return value !== undefined && /^-?\d{1,18}$/.test(value);
}

export function matchLabels(requirements: readonly LabelRequirement[]): LabelMatcher {
  return (labels = {}) => requirements.every((requirement) => meets(labels, requirement));
}

/** The text of a query's `labelSelector` as what it matches. */
export function parseLabelSelector(text: string): LabelMatcher {
  return matchLabels(parseLabelRequirements(text));
}

const setOperators: ReadonlySet<string> = new Set(['In', 'NotIn', 'Exists', 'DoesNotExist']);

/** The requirements of a selector in a spec. `BadArgument` for one that a server would refuse. */
export function labelSelectorRequirements(selector: LabelSelector): readonly LabelRequirement[] {
  const exact = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]): LabelRequirement => checked({ key, operator: 'In', values: [value] }),
  );
  const others = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (!setOperators.has(operator)) {
      return fail('BadArgument', `label selector: "${operator}" is no operator`);
    }
    const wantsValues = operator === 'In' || operator === 'NotIn';
    if (wantsValues !== values.length > 0) {
      const rule = wantsValues ? 'needs values' : 'takes no values';
      return fail('BadArgument', `label selector: ${key} ${operator} ${rule}`);
    }
    return checked({ key, operator: operator as LabelOperator, values });
  });
  return [...exact, ...others];
}

/** What a spec's selector matches: without one nothing, with an empty one everything. */
export function fromLabelSelectorObject(selector: LabelSelector | undefined): LabelMatcher {
  if (selector === undefined) return () => false;
  return matchLabels(labelSelectorRequirements(selector));
}

/** The text that asks a server for the same. */
export function labelSelectorObjectText(selector: LabelSelector): string {
  return labelRequirementsText(labelSelectorRequirements(selector));
}

/** `metadata.name=a,spec.nodeName!=b`; a backslash makes `,`, `=` and itself ordinary. */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  return splitUnescaped(text)
    .filter((term) => term.trim() !== '')
    .map((term) => {
      const match = /^\s*([^=!\\\s]+)(==|!=|=)(.*)$/s.exec(term);
      const [, field, operator, value] = match ?? [];
      if (field === undefined || value === undefined) {
        return fail('BadArgument', `field selector "${text}": "${term}" is no comparison`);
      }
      return { field, equal: operator !== '!=', value: unescaped(value, text) };
    });
}

function splitUnescaped(text: string): string[] {
  const terms = [''];
  for (let i = 0; i < text.length; i++) {
    const last = terms.length - 1;
    if (text[i] === '\\') {
      terms[last] += text.slice(i, i + 2);
      i++;
    } else if (text[i] === ',') {
      terms.push('');
    } else {
      terms[last] += text.charAt(i);
    }
  }
  return terms;
}

function unescaped(value: string, whole: string): string {
  if (/(^|[^\\])(\\\\)*(\\([^\\,=]|$)|=)/.test(value)) {
    fail('BadArgument', `field selector "${whole}": "${value}" is not escaped correctly`);
  }
  return value.replaceAll(/\\([\\,=])/g, '$1');
}

export function fieldRequirementText({ field, equal, value }: FieldRequirement): string {
  return `${field}${equal ? '=' : '!='}${value.replaceAll(/[\\,=]/g, '\\$&')}`;
}

/** `valueOf` gives a field's text; a field that is not there counts as empty. */
export function matchesFields(
  requirements: readonly FieldRequirement[],
  valueOf: (field: string) => string | undefined,
): boolean {
  return requirements.every(
    ({ field, equal, value }) => ((valueOf(field) ?? '') === value) === equal,
  );
}
