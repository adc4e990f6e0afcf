/**
 * Takes secrets out of what a person will send to somebody else. Three nets, because each has
 * holes: fields that may hold secrets are emptied by their place, texts are searched for what looks
 * like a secret, and for what the Secrets of the cluster hold.
 */

export const removed = '(removed)';

const secretWords = [
  'password',
  'passwd',
  'passphrase',
  'secret[-_]?access[-_]?key',
  'access[-_]?key[-_]?id',
  'api[-_]?key',
].join('|');

/** Fields of any object whose text is never shown. */
const secretFields = new RegExp(
  `^(?:token|.*-data|.*(?:${secretWords}).*|kubeconfig|playbook|credentials|authorization)$`,
  'i',
);

/** Annotations whose values are of Kubernetes or ours; others may hold anything. */
const knownAnnotations = /^(?:[a-z0-9-]+\.)*(?:transship\.dev|kubernetes\.io)\//;
const copiesOfObjects = 'kubectl.kubernetes.io/last-applied-configuration';

const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [^-\n]*PRIVATE KEY-----[\s\S]*?-----END [^-\n]*PRIVATE KEY-----/g, removed],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, removed],
  [/\btransship1-[\w.+/=:~-]{8,}/g, removed],
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, removed],
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${removed}`],
  [/(\/\/[^\s/:@"']*:)[^\s/@"']+@/g, `$1${removed}@`],
  [
    /((?:client-key|client-certificate|certificate-authority)-data["']?\s*[:=]\s*["']?)[\w+/=]+/g,
    `$1${removed}`,
  ],
  [
    new RegExp(`((?:${secretWords}|token|secret)["']?\\s*[:=]\\s*["']?)[^\\s"',;&]{4,}`, 'gi'),
    `$1${removed}`,
  ],
];

/** Shorter ones are found everywhere by chance. */
const literalLengthMin = 8;
/** Parts of a secret, such as the key inside a kubeconfig. */
const partPattern = /[\w+/-]{20,}={0,2}/g;
const literalsMax = 20_000;

export class Redaction {
  readonly #literals = new Set<string>();
  #sorted: readonly string[] | undefined;

  /** A value that must not be seen anywhere, nor any telling part of it. */
  hide(value: string): void {
    const parts = [...value.matchAll(partPattern)].map(([part]) => part).filter(isTelling);
    const encoded = Buffer.from(value, 'utf8').toString('base64');
    for (const literal of [value.trim(), encoded, ...parts]) {
      const isFull = this.#literals.size >= literalsMax;
      if (literal.length >= literalLengthMin && !isFull) this.#literals.add(literal);
    }
    this.#sorted = undefined;
  }

  text(text: string): string {
    // Long ones first: a part of a longer one would leave the rest standing.
    this.#sorted ??= [...this.#literals].toSorted((a, b) => b.length - a.length);
    let clean = text;
    for (const literal of this.#sorted) {
      if (clean.includes(literal)) clean = clean.replaceAll(literal, removed);
    }
    for (const [pattern, by] of patterns) clean = clean.replace(pattern, by);
    return clean;
  }

  /** An object of any kind, with nothing left in it that is secret by its place or its looks. */
  object(value: unknown): unknown {
    return this.#value(value, []);
  }

  #value(value: unknown, path: readonly string[]): unknown {
    if (typeof value === 'string') return isSecretPlace(path) ? removed : this.text(value);
    if (Array.isArray(value)) return value.map((item: unknown) => this.#value(item, path));
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).filter(([name]) => name !== 'managedFields');
    return Object.fromEntries(
      entries.map(([name, item]): [string, unknown] => {
        return [this.text(name), this.#value(item, [...path, name])];
      }),
    );
  }
}

/** Random enough to be a key: names of objects and fields are not. */
function isTelling(part: string): boolean {
  return /[0-9]/.test(part) && /[a-z]/.test(part) && /[A-Z]/.test(part);
}

function isSecretPlace(path: readonly string[]): boolean {
  const last = path.at(-1) ?? '';
  const parent = path.at(-2) ?? '';
  if (parent === 'annotations') return last === copiesOfObjects || !knownAnnotations.test(last);
  // Of containers: what programs are told may be passwords.
  if (parent === 'env' && last === 'value') return true;
  if (last === 'args' || last === 'command') return true;
  if (parent === 'data' || parent === 'stringData' || parent === 'binaryData') return true;
  return secretFields.test(last);
}
