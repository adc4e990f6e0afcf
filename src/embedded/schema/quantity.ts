/**
 * Quantities as Kubernetes reads and writes them (`resource.Quantity`): a decimal with a binary
 * (Ki … Ei), decimal (n, u, m, k … E) or exponent suffix, exact to a thousand-millionth.
 */
import { assert } from '../../base/errors.ts';

export interface Quantity {
  /** In thousand-millionths: exact. */
  readonly nanos: bigint;
  readonly style: 'binary' | 'decimal' | 'exponent';
}

const nano = 1_000_000_000n;
/** Beyond this Kubernetes caps: 2^63 - 1, in units. */
const unitsMax = 2n ** 63n - 1n;
const exponentMax = 64;

const binary: readonly string[] = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const decimal: readonly string[] = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];

const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$/;

/** Undefined when the text is none. */
export function parseQuantity(text: string): Quantity | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const [, sign = '', whole = '', fraction = '', suffix = ''] = match;
  if (whole === '' && fraction === '') return undefined;
  const digits = BigInt(`${whole}${fraction}` || '0');
  const scale = scaleOf(suffix);
  if (scale === undefined) return undefined;
  const numerator = digits * scale.numerator * nano;
  const denominator = 10n ** BigInt(fraction.length) * scale.denominator;
  // What is finer than a thousand-millionth is rounded up, away from zero.
  const nanos = (numerator + denominator - 1n) / denominator;
  const capped = nanos > unitsMax * nano ? unitsMax * nano : nanos;
  return { nanos: sign === '-' ? -capped : capped, style: scale.style };
}

interface Scale {
  readonly numerator: bigint;
  readonly denominator: bigint;
  readonly style: Quantity['style'];
}

function scaleOf(suffix: string): Scale | undefined {
  const power = binary.indexOf(suffix);
  if (power > 0) return { numerator: 1024n ** BigInt(power), denominator: 1n, style: 'binary' };
  const step = decimal.indexOf(suffix);
  if (step >= 0) return { ...tenTo((step - 3) * 3), style: 'decimal' };
  const exponent = Number(suffix.slice(1));
  if (Math.abs(exponent) > exponentMax) return undefined;
  return { ...tenTo(exponent), style: 'exponent' };
}

function tenTo(exponent: number): { numerator: bigint; denominator: bigint } {
  const power = 10n ** BigInt(Math.abs(exponent));
  return exponent < 0
    ? { numerator: 1n, denominator: power }
    : { numerator: power, denominator: 1n };
}

/** The canonical text: no fraction, and the largest suffix that allows that. */
export function formatQuantity({ nanos, style }: Quantity): string {
  const isWhole = nanos % nano === 0n;
  const units = nanos / nano;
  if (style === 'binary' && isWhole && (units >= 1024n || units <= -1024n)) {
    return formatBinary(units);
  }
  return formatDecimal(nanos, style === 'exponent');
}

function formatBinary(units: bigint): string {
  let value = units;
  let power = 0;
  while (value !== 0n && value % 1024n === 0n && power < binary.length - 1) {
    value /= 1024n;
    power += 1;
  }
  return `${value}${binary[power] ?? ''}`;
}

function formatDecimal(nanos: bigint, exponent: boolean): string {
  if (nanos === 0n) return '0';
  let value = nanos;
  let step = 0;
  while (value % 1000n === 0n && step < decimal.length - 1) {
    value /= 1000n;
    step += 1;
  }
  if (!exponent) return `${value}${decimal[step] ?? ''}`;
  const power = (step - 3) * 3;
  return power === 0 ? `${value}` : `${value}e${power}`;
}

/** The canonical text of a quantity as JSON has it; undefined when it is none. */
export function canonicalQuantity(value: string | number): string | undefined {
  const quantity = parseQuantity(String(value));
  return quantity === undefined ? undefined : formatQuantity(quantity);
}

/** Negative, zero or positive, as sort wants it. Both must be quantities. */
export function compareQuantities(a: string, b: string): number {
  const [left, right] = [parseQuantity(a), parseQuantity(b)];
  assert(left !== undefined && right !== undefined, `quantities: ${a}, ${b}`);
  if (left.nanos === right.nanos) return 0;
  return left.nanos < right.nanos ? -1 : 1;
}
