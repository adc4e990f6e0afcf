// Enough of PromQL to read what dashboards ask: selectors, functions, aggregations, operators. What
// is not understood is an error, so that no metric hides in an expression nobody checked.

export interface Selector {
  readonly metric: string;
  /** Labels that the selector matches on. */
  readonly labels: readonly string[];
  readonly hasRange: boolean;
  /** The function it is a direct argument of. */
  readonly within: string | undefined;
}

export interface Expression {
  readonly selectors: readonly Selector[];
  /** Labels that aggregations group by. */
  readonly groupedBy: readonly string[];
}

const patterns = {
  text: /"(?:[^"\\]|\\.)*"/,
  range: /\[[^\]]*\]/,
  word: /[a-zA-Z_:][a-zA-Z0-9_:]*/,
  number: /\d+(?:\.\d+)?/,
  sign: /=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>]/,
} as const;
const alternatives = Object.entries(patterns).map(([kind, { source }]) => `(?<${kind}>${source})`);
const tokenPattern = new RegExp(`\\s*(?:${alternatives.join('|')})`, 'y');

interface Token {
  readonly kind: keyof typeof patterns;
  readonly text: string;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(tokenPattern);
  while (pattern.lastIndex < text.trimEnd().length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) throw new Error(`cannot read '${text.slice(at)}' in ${text}`);
    const found = Object.entries(match.groups ?? {}).find(([, part]) => part !== undefined);
    tokens.push({ kind: found![0] as Token['kind'], text: found![1]! });
  }
  return tokens;
}

const aggregations = ['sum', 'avg', 'min', 'max', 'count', 'topk', 'bottomk'];
const functions = ['rate', 'irate', 'increase', 'histogram_quantile', 'clamp_min', 'clamp_max'];
const operators = ['+', '-', '*', '/', '%', '^', '>', '<', '>=', '<=', '==', '!='];

export function parseExpression(text: string): Expression {
  const parser = new Parser(text);
  parser.expression(undefined);
  parser.end();
  return parser;
}

class Parser implements Expression {
  readonly selectors: Selector[] = [];
  readonly groupedBy: string[] = [];
  readonly #text: string;
  readonly #tokens: Token[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  expression(within: string | undefined): void {
    this.#operand(within);
    while (this.#peek()?.kind === 'sign' && operators.includes(this.#peek()!.text)) {
      this.#at += 1;
      this.#operand(within);
    }
  }

  end(): void {
    if (this.#peek() !== undefined) this.#fail(`nothing after it, not '${this.#peek()!.text}'`);
  }

  #operand(within: string | undefined): void {
    const token = this.#take();
    if (token.kind === 'number') return;
    if (token.text === '(') {
      this.expression(within);
      this.#expect(')');
      return;
    }
    if (token.kind !== 'word') this.#fail(`an operand, not '${token.text}'`);
    if (aggregations.includes(token.text)) this.#aggregation(token.text);
    else if (functions.includes(token.text)) this.#arguments(token.text);
    else if (this.#peek()?.text === '(') this.#fail(`a known function, not ${token.text}`);
    else this.#selector(token.text, within);
  }

  #aggregation(name: string): void {
    this.#grouping();
    this.#arguments(name);
    this.#grouping();
  }

  #grouping(): void {
    const word = this.#peek()?.text;
    if (word !== 'by' && word !== 'without') return;
    this.#at += 1;
    this.#expect('(');
    while (this.#peek()?.text !== ')') {
      this.groupedBy.push(this.#take().text);
      if (this.#peek()?.text === ',') this.#at += 1;
    }
    this.#expect(')');
  }

  #arguments(name: string): void {
    this.#expect('(');
    for (;;) {
      this.expression(name);
      if (this.#peek()?.text !== ',') break;
      this.#at += 1;
    }
    this.#expect(')');
  }

  #selector(metric: string, within: string | undefined): void {
    const labels: string[] = [];
    if (this.#peek()?.text === '{') {
      this.#at += 1;
      while (this.#peek()?.text !== '}') {
        labels.push(this.#take().text);
        const sign = this.#take().text;
        if (!['=', '=~', '!=', '!~'].includes(sign)) this.#fail(`a matcher, not '${sign}'`);
        if (this.#take().kind !== 'text') this.#fail('a quoted value');
        if (this.#peek()?.text === ',') this.#at += 1;
      }
      this.#expect('}');
    }
    const hasRange = this.#peek()?.kind === 'range';
    if (hasRange) this.#at += 1;
    this.selectors.push({ metric, labels, hasRange, within });
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #take(): Token {
    const token = this.#peek() ?? this.#fail('more');
    this.#at += 1;
    return token;
  }

  #expect(text: string): void {
    const token = this.#take();
    if (token.text !== text) this.#fail(`'${text}', not '${token.text}'`);
  }

  #fail(wanted: string): never {
    throw new Error(`expected ${wanted} in: ${this.#text}`);
  }
}
