// The output of node:test as this repository wants it: one line a file while it runs, every
// failure with the command that repeats it, every skip with its reason, and the closing line
// that test/run.ts adds up.
import { relative } from 'node:path';
import { inspect } from 'node:util';

interface Outcome {
  readonly name: string;
  readonly file?: string;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details: {
    readonly type?: string;
    readonly error?: Error & { readonly cause?: unknown; readonly failureType?: string };
  };
}

interface Summary {
  readonly file?: string;
  readonly duration_ms: number;
  readonly counts: {
    readonly passed: number;
    readonly failed: number;
    readonly cancelled: number;
    readonly skipped: number;
    readonly todo: number;
  };
}

type TestEvent =
  | { readonly type: 'test:pass' | 'test:fail'; readonly data: Outcome }
  | { readonly type: 'test:summary'; readonly data: Summary }
  | { readonly type: 'test:stdout' | 'test:stderr'; readonly data: { readonly message: string } }
  | { readonly type: 'other'; readonly data: unknown };

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const fromHere = (file: string | undefined): string => relative(process.cwd(), file ?? '');
const indent = (text: string): string => text.replace(/^/gm, '    ');

/** The pattern is a regular expression to node:test, so the name must not be read as one. */
function patternOf(name: string): string {
  return name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** Without the frames of Node's own runner, which are the same for every test. */
function shortStack(error: Error): string {
  const lines = (error.stack ?? error.message).split('\n');
  return lines.filter((line) => !/^\s+at .*\(?node:internal\//.test(line)).join('\n');
}

/** Of a test that failed and then could not clean up after itself, both, the first one first. */
function shownOf(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  const { error: last, suppressed } = error as Partial<SuppressedError>;
  if (suppressed === undefined) return shortStack(error);
  return `${shownOf(suppressed)}\nand then: ${shownOf(last)}`;
}

function failureOf(outcome: Outcome): string {
  const { error } = outcome.details;
  const shown = shownOf(error?.cause ?? error);
  const file = fromHere(outcome.file);
  // A file that fails as a whole is named as a test of its own.
  const isWhole = outcome.name === outcome.file || outcome.name.endsWith('.ts');
  const select = isWhole ? '' : ` -t ${quote(patternOf(outcome.name))}`;
  const repeat = `npm run unit -- ${file}${select}`;
  return `FAILED ${file}: ${outcome.name}\n${indent(shown)}\n    again: ${repeat}\n`;
}

/** A suite, or a test with subtests, fails because of what is reported on its own. */
function isOnlyAParent(outcome: Outcome): boolean {
  const isSuite = outcome.details.type === 'suite';
  const type = outcome.details.error?.failureType;
  return type === 'subtestsFailed' || (isSuite && type === undefined);
}

function summarise({ file, counts, duration_ms }: Summary): string {
  const failed = counts.failed + counts.cancelled;
  const skipped = counts.skipped + counts.todo;
  const line = `${counts.passed} passed, ${failed} failed, ${skipped} skipped`;
  if (file === undefined) return `${line}\n`;
  return `${fromHere(file)}: ${line} (${Math.round(duration_ms)} ms)\n`;
}

export async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const failures: string[] = [];
  for await (const { type, data } of events) {
    if (type === 'test:fail' && !isOnlyAParent(data)) {
      const failure = failureOf(data);
      failures.push(failure);
      yield failure;
    } else if (type === 'test:pass' && (data.skip ?? false) !== false) {
      const reason = typeof data.skip === 'string' && data.skip !== '' ? data.skip : 'no reason';
      yield `skipped ${fromHere(data.file)}: ${data.name}: ${reason}\n`;
    } else if (type === 'test:stdout' || type === 'test:stderr') {
      yield data.message;
    } else if (type === 'test:summary') {
      if (data.file === undefined && failures.length > 1) {
        yield `\n${failures.length} failures:\n${failures.join('')}`;
      }
      yield summarise(data);
    }
  }
}

// node:test loads a reporter by its default export.
export { report as default };
