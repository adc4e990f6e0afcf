/**
 * Functions that Kubernetes adds to CEL (documentation, "Common Expression Language in Kubernetes",
 * library options): quantities, lists, regular expressions, URLs, addresses, texts.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { isIP } from '../addresses.ts';
import { goRegExp } from '../check.ts';
import { formatQuantity, parseQuantity, type Quantity } from '../quantity.ts';

const nano = 1_000_000_000n;

export class CelQuantity {
  readonly quantity: Quantity;

  constructor(quantity: Quantity) {
    this.quantity = quantity;
  }

  static parse(text: string): CelQuantity {
    const quantity = parseQuantity(text);
    if (quantity === undefined) throw new Error(`${text} is no quantity`);
    return new CelQuantity(quantity);
  }

  plus(nanos: bigint): CelQuantity {
    return new CelQuantity({ ...this.quantity, nanos: this.quantity.nanos + nanos });
  }
}

export class CelUrl {
  readonly url: URL;

  constructor(url: URL) {
    this.url = url;
  }

  static parse(text: string): CelUrl {
    if (!URL.canParse(text)) throw new Error(`${text} is no absolute URL`);
    return new CelUrl(new URL(text));
  }
}

type Register = (signature: string, handler: (...values: never[]) => unknown) => void;

export function addKubernetesFunctions(env: Environment): void {
  const register: Register = (signature, handler) => {
    env.registerFunction(signature, handler as (...values: unknown[]) => unknown);
  };
  env.registerType('kubernetes.Quantity', CelQuantity);
  env.registerType('kubernetes.URL', CelUrl);
  addQuantities(register);
  addLists(register);
  addTexts(register);
  addUrls(register);
}

function addQuantities(register: Register): void {
  const quantity = 'kubernetes.Quantity';
  const compare = (a: CelQuantity, b: CelQuantity): bigint => {
    const difference = a.quantity.nanos - b.quantity.nanos;
    return difference === 0n ? 0n : difference < 0n ? -1n : 1n;
  };
  register(`quantity(string): ${quantity}`, (text: string) => CelQuantity.parse(text));
  register('isQuantity(string): bool', (text: string) => parseQuantity(text) !== undefined);
  register(`${quantity}.compareTo(${quantity}): int`, compare);
  register(
    `${quantity}.isGreaterThan(${quantity}): bool`,
    (a: CelQuantity, b: CelQuantity) => compare(a, b) > 0n,
  );
  register(
    `${quantity}.isLessThan(${quantity}): bool`,
    (a: CelQuantity, b: CelQuantity) => compare(a, b) < 0n,
  );
  register(`${quantity}.sign(): int`, ({ quantity: { nanos } }: CelQuantity) =>
    nanos === 0n ? 0n : nanos < 0n ? -1n : 1n,
  );
  register(`${quantity}.isInteger(): bool`, (a: CelQuantity) => a.quantity.nanos % nano === 0n);
  register(`${quantity}.asInteger(): int`, (a: CelQuantity) => {
    if (a.quantity.nanos % nano === 0n) return a.quantity.nanos / nano;
    throw new Error(`${formatQuantity(a.quantity)} is no whole number`);
  });
  register(
    `${quantity}.asApproximateFloat(): double`,
    (a: CelQuantity) => Number(a.quantity.nanos) / Number(nano),
  );
  const add = (sign: bigint) => (a: CelQuantity, b: CelQuantity) => {
    return a.plus(sign * b.quantity.nanos);
  };
  const addWhole = (sign: bigint) => (a: CelQuantity, b: bigint) => a.plus(sign * b * nano);
  register(`${quantity}.add(${quantity}): ${quantity}`, add(1n));
  register(`${quantity}.add(int): ${quantity}`, addWhole(1n));
  register(`${quantity}.sub(${quantity}): ${quantity}`, add(-1n));
  register(`${quantity}.sub(int): ${quantity}`, addWhole(-1n));
}

type Ordered = bigint | number | string;

function addLists(register: Register): void {
  register('list.isSorted(): bool', (list: Ordered[]) =>
    list.every((item, i) => i === 0 || (list[i - 1] ?? item) <= item),
  );
  register('list.sum(): dyn', (list: (bigint | number)[]) => {
    const isDouble = list.some((item) => typeof item === 'number');
    if (isDouble) return list.reduce<number>((sum, item) => sum + Number(item), 0);
    return list.reduce<bigint>((sum, item) => sum + BigInt(item), 0n);
  });
  const extreme = (name: string, isBetter: (a: Ordered, b: Ordered) => boolean): void => {
    register(`list.${name}(): dyn`, (list: Ordered[]) => {
      if (list.length === 0) throw new Error(`${name} of an empty list`);
      return list.reduce((best, item) => (isBetter(item, best) ? item : best));
    });
  };
  extreme('min', (a, b) => a < b);
  extreme('max', (a, b) => a > b);
  register('list.indexOf(dyn): int', (list: unknown[], item: unknown) =>
    BigInt(list.indexOf(item)),
  );
  register('list.lastIndexOf(dyn): int', (list: unknown[], item: unknown) =>
    BigInt(list.lastIndexOf(item)),
  );
}

function addTexts(register: Register): void {
  register('string.charAt(int): string', (text: string, i: bigint) => text.charAt(Number(i)));
  register('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, () => to),
  );
  register(
    'string.replace(string, string, int): string',
    (text: string, from: string, to: string, count: bigint) => {
      if (count < 0n) return text.replaceAll(from, () => to);
      const parts = text.split(from);
      const times = Math.min(Number(count), parts.length - 1);
      return [parts.slice(0, times + 1).join(to), ...parts.slice(times + 1)].join(from);
    },
  );
  register('string.find(string): string', (text: string, pattern: string) => {
    return goRegExp(pattern).exec(text)?.[0] ?? '';
  });
  register('string.findAll(string): list<string>', (text: string, pattern: string) => {
    const expression = goRegExp(pattern);
    const global = new RegExp(expression.source, `${expression.flags}g`);
    return [...text.matchAll(global)].map(([found]) => found);
  });
}

function addUrls(register: Register): void {
  const url = 'kubernetes.URL';
  register(`url(string): ${url}`, (text: string) => CelUrl.parse(text));
  register('isURL(string): bool', (text: string) => URL.canParse(text));
  register('isIP(string): bool', (text: string) => isIP(text) !== 0);
  register(`${url}.getScheme(): string`, (a: CelUrl) => a.url.protocol.replace(/:$/, ''));
  register(`${url}.getHost(): string`, (a: CelUrl) => a.url.host);
  register(`${url}.getHostname(): string`, (a: CelUrl) => a.url.hostname.replaceAll(/[[\]]/g, ''));
  register(`${url}.getPort(): string`, (a: CelUrl) => a.url.port);
  register(`${url}.getEscapedPath(): string`, (a: CelUrl) => a.url.pathname);
}
