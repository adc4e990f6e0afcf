/** The demo's processes: commands of this program, and the parts that play applications. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { DemoFailure } from './narrator.ts';

export interface Programs {
  /** One command line of Transship, run as a person would; resolves with what it printed. */
  transship(words: readonly string[]): Promise<string>;
  /** A command line of Transship that goes on until it is ended; gets what it prints by lines. */
  follow(words: readonly string[], onLine: (line: string) => void): Followed;
  /** A part that runs to its end; resolves with the lines it sent. */
  run<Line>(part: string, request: object): Promise<readonly Line[]>;
  /** A part that goes on until it is told to end. */
  start<Line>(part: string, request: object, onLine: (line: Line) => void): RunningPart;
  /** Ends what still runs. */
  endAll(): Promise<void>;
}

export interface Followed {
  end(): Promise<void>;
}

export interface RunningPart {
  /** Resolves when it ended by itself or after `end`; rejects when it failed. */
  readonly ended: Promise<void>;
  end(): Promise<void>;
}

export interface ProgramsOptions {
  readonly mainPath: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Aborted by Ctrl-C: everything that runs is ended. */
  readonly signal: AbortSignal;
}

/** What a part may still do after its input ended. */
const endMs = 10_000;

export function createPrograms(options: ProgramsOptions): Programs {
  const running = new Set<ChildProcessWithoutNullStreams>();
  const launch = (words: readonly string[]): ChildProcessWithoutNullStreams => {
    options.signal.throwIfAborted();
    const flags = ['--disable-warning=ExperimentalWarning', options.mainPath, ...words];
    // A session of its own: Ctrl-C is for the demo, which ends things in the right order.
    const child = spawn(process.execPath, flags, {
      env: options.environment,
      detached: true,
      stdio: 'pipe',
    });
    running.add(child);
    child.on('close', () => running.delete(child));
    child.stdin.on('error', () => undefined);
    options.signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
    return child;
  };
  const start = <Line>(part: string, request: object, onLine: (line: Line) => void) =>
    startPart(launch(['demo-part', part, JSON.stringify(request)]), part, onLine);
  return {
    transship: async (words) => {
      const child = launch(words);
      child.stdin.end();
      let out = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
      const { code, err } = await endOf(child);
      if (code === 0) return out;
      throw new DemoFailure(`transship ${words.join(' ')} ended with ${code}:\n${err || out}`);
    },
    follow: (words, onLine) => {
      const child = launch(words);
      const gone = new Promise((resolve) => child.once('close', resolve));
      createInterface({ input: child.stdout }).on('line', onLine);
      child.stderr.resume();
      return {
        end: async () => {
          child.kill('SIGTERM');
          await gone;
        },
      };
    },
    run: async <Line>(part: string, request: object) => {
      const lines: Line[] = [];
      await start<Line>(part, request, (line) => lines.push(line)).ended;
      return lines;
    },
    start,
    endAll: async () => {
      await Promise.all(
        [...running].map(async (child) => {
          const gone = new Promise((resolve) => child.once('close', resolve));
          child.kill('SIGTERM');
          const timer = setTimeout(() => child.kill('SIGKILL'), endMs);
          await gone;
          clearTimeout(timer);
        }),
      );
    },
  };
}

function startPart<Line>(
  child: ChildProcessWithoutNullStreams,
  part: string,
  onLine: (line: Line) => void,
): RunningPart {
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (text) => onLine(JSON.parse(text) as Line));
  const drained = new Promise<void>((resolve) => lines.once('close', resolve));
  const ended = endOf(child).then(async ({ code, err }) => {
    await drained;
    if (code !== 0) throw new DemoFailure(`the demo's ${part} ended with ${code}:\n${err}`);
  });
  // Whoever awaits it hears of it; before that it must not count as unhandled.
  ended.catch(() => undefined);
  return {
    ended,
    end: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

function endOf(
  child: ChildProcessWithoutNullStreams,
): Promise<{ readonly code: number | string; readonly err: string }> {
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err = (err + text).slice(-4000)));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code: code ?? signal ?? 'nothing', err }));
  });
}
