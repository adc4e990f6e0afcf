// A tokenizer for TypeScript, good enough for rules that look at shape. TypeScript 7 has no
// compiler API to ask, and a rule that reads lines with regular expressions is fooled by the
// first string or comment that looks like code.

export type TokenKind = 'word' | 'punct' | 'string' | 'template' | 'number' | 'regex' | 'comment';

export interface Token {
  readonly kind: TokenKind;
  /** As written; of a template, one literal part without its delimiters. */
  readonly text: string;
  readonly line: number;
}

const longPuncts = ['>>>=', '...', '===', '!==', '**=', '&&=', '||=', '??=', '<<=', '>>='];
const shortPuncts = ['=>', '==', '!=', '<=', '&&', '||', '??', '?.', '++', '--', '+=', '-='];
const morePuncts = ['*=', '/=', '%=', '&=', '|=', '^=', '**', '<<'];
// `>>` and `>=` are left as single characters: they close type arguments more often than they
// shift or compare, and no rule needs them whole.
const puncts: readonly string[] = [...longPuncts, ...shortPuncts, ...morePuncts];

const wordStart = /[\p{ID_Start}$_#@]/u;
const wordRest = /[\p{ID_Continue}$\u200c\u200d]/u;

// After these words a slash begins a regular expression, not a division.
const wordsBeforeRegex: ReadonlySet<string> = new Set(
  'return typeof case in of do else new delete void throw instanceof yield await'.split(' '),
);

class Scanner {
  private readonly text: string;
  private readonly tokens: Token[] = [];
  private at = 0;
  private line = 1;
  /** One entry per open brace; true where it is the `${` of a template. */
  private readonly braces: boolean[] = [];

  constructor(text: string) {
    this.text = text;
  }

  run(): readonly Token[] {
    if (this.text.startsWith('#!')) this.skipTo(this.endOfLine());
    while (this.at < this.text.length) this.step();
    return this.tokens;
  }

  private step(): void {
    const c = this.text[this.at] as string;
    const next = this.text[this.at + 1];
    if (/\s/.test(c)) this.skipTo(this.at + 1);
    else if (c === '/' && next === '/') this.push('comment', this.endOfLine());
    else if (c === '/' && next === '*') this.push('comment', this.after('*/', this.at + 2));
    else if (c === "'" || c === '"') this.push('string', this.endOfString(c));
    else if (c === '`') this.template();
    else if (c === '/' && this.regexMayStart()) this.push('regex', this.endOfRegex());
    else if (/[0-9]/.test(c) || (c === '.' && next !== undefined && /[0-9]/.test(next))) {
      this.push('number', this.endOfNumber());
    } else if (wordStart.test(c)) this.push('word', this.endOfWord());
    else this.punct();
  }

  private push(kind: TokenKind, end: number): void {
    this.tokens.push({ kind, text: this.text.slice(this.at, end), line: this.line });
    this.skipTo(end);
  }

  private skipTo(end: number): void {
    for (; this.at < end; this.at++) if (this.text[this.at] === '\n') this.line++;
  }

  private after(mark: string, from: number): number {
    const found = this.text.indexOf(mark, from);
    return found < 0 ? this.text.length : found + mark.length;
  }

  private endOfLine(): number {
    const found = this.text.indexOf('\n', this.at);
    return found < 0 ? this.text.length : found;
  }

  private endOfString(quote: string): number {
    let i = this.at + 1;
    while (i < this.text.length && this.text[i] !== quote && this.text[i] !== '\n') {
      i += this.text[i] === '\\' ? 2 : 1;
    }
    return Math.min(i + 1, this.text.length);
  }

  private endOfNumber(): number {
    const match = /^(?:0[xXbBoO][\da-fA-F_]+n?|[\d_]*\.?[\d_]*(?:[eE][+-]?[\d_]+)?n?)/.exec(
      this.text.slice(this.at, this.at + 80),
    );
    return this.at + Math.max(1, match?.[0].length ?? 1);
  }

  private endOfWord(): number {
    let i = this.at + 1;
    while (i < this.text.length && wordRest.test(this.text[i] as string)) i++;
    return i;
  }

  private regexMayStart(): boolean {
    const last = this.tokens.findLast((token) => token.kind !== 'comment');
    if (last === undefined) return true;
    if (last.kind === 'word') return wordsBeforeRegex.has(last.text);
    return last.kind === 'punct' && ![')', ']', '}', '++', '--'].includes(last.text);
  }

  private endOfRegex(): number {
    let inClass = false;
    let i = this.at + 1;
    for (; i < this.text.length; i++) {
      const c = this.text[i];
      if (c === '\\') i++;
      else if (c === '[') inClass = true;
      else if (c === ']') inClass = false;
      else if (c === '\n' || (c === '/' && !inClass)) break;
    }
    i++;
    while (i < this.text.length && /[a-z]/.test(this.text[i] as string)) i++;
    return i;
  }

  /** At a backquote, or behind the brace that ended a substitution. */
  private template(): void {
    const start = this.at + 1;
    let i = start;
    while (i < this.text.length && this.text[i] !== '`' && !this.text.startsWith('${', i)) {
      i += this.text[i] === '\\' ? 2 : 1;
    }
    this.tokens.push({ kind: 'template', text: this.text.slice(start, i), line: this.line });
    this.skipTo(i);
    if (this.text[i] === '`') {
      this.skipTo(i + 1);
    } else if (i < this.text.length) {
      this.tokens.push({ kind: 'punct', text: '${', line: this.line });
      this.braces.push(true);
      this.skipTo(i + 2);
    }
  }

  private punct(): void {
    const text =
      puncts.find((p) => this.text.startsWith(p, this.at)) ?? (this.text[this.at] as string);
    if (text === '{') this.braces.push(false);
    if (text === '}' && this.braces.pop() === true) {
      this.tokens.push({ kind: 'punct', text: '}', line: this.line });
      this.template();
      return;
    }
    this.push('punct', this.at + text.length);
  }
}

export function scan(text: string): readonly Token[] {
  return new Scanner(text).run();
}

const closes: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

/** For every bracket the index of its partner, for all else -1. */
export function matchBrackets(tokens: readonly Token[]): readonly number[] {
  const partner = new Array<number>(tokens.length).fill(-1);
  const open: number[] = [];
  for (const [i, token] of tokens.entries()) {
    if (token.kind !== 'punct') continue;
    if (['(', '[', '{', '${'].includes(token.text)) open.push(i);
    else if (token.text in closes) {
      const start = open.pop();
      if (start === undefined) continue;
      partner[start] = i;
      partner[i] = start;
    }
  }
  return partner;
}
