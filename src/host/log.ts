import { TransshipError } from '../base/errors.ts';
import type { Log, LogLevel } from '../base/ports.ts';

export interface LogOptions {
  /** `human` is one readable line, `json` one object per line. */
  readonly format: 'human' | 'json';
  /** Messages below this level are dropped. */
  readonly level: LogLevel;
  /** Takes a finished line with its newline; standard error by default. */
  readonly write?: (line: string) => void;
  readonly wallMs?: () => number;
}

const severity: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLog(options: LogOptions): Log {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const wallMs = options.wallMs ?? Date.now;
  const render = options.format === 'json' ? jsonLine : humanLine;
  return {
    log: (level, message, fields) => {
      if (severity[level] < severity[options.level]) return;
      write(render(new Date(wallMs()).toISOString(), level, message, fields ?? {}));
    },
  };
}

type Render = (
  time: string,
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => string;

const jsonLine: Render = (time, level, message, fields) => {
  const plain: Record<string, unknown> = { time, level, message };
  // The three words above are ours; a field of the same name must not hide them.
  for (const [key, value] of Object.entries(fields)) {
    plain[key in plain ? `field_${key}` : key] = plainValue(value);
  }
  return `${JSON.stringify(plain)}\n`;
};

const humanLine: Render = (time, level, message, fields) => {
  const words = [time, level.toUpperCase().padEnd(5), oneLine(message)];
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) words.push(`${key}=${quoted(plainValue(value))}`);
  }
  return `${words.join(' ')}\n`;
};

function plainValue(value: unknown): unknown {
  if (value instanceof TransshipError) return `${value.reason}: ${value.message}`;
  if (value instanceof Error) return value.stack ?? value.message;
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value;
}

function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return /^[\w.:/@+,-]+$/.test(text) ? text : JSON.stringify(text);
}

/** A message with text from outside must not forge a second line. */
function oneLine(text: string): string {
  return text.replaceAll(/[\r\n]+/g, ' ');
}
