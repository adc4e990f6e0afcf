/**
 * What a mover is told: one JSON file, mounted beside its certificates. Read by
 * `transship mover server` and `transship mover client`, written by the pod builders.
 */
import { fail } from '../base/errors.ts';

/** One volume of a server. */
export interface MoverModule {
  /** In rsync's URL: letters, digits, dots and hyphens, such as `default.db-data`. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Refuses uploads, for a rollback that reads back, say. */
  readonly readOnly?: boolean;
}

export interface MoverServerConfig {
  /** Where it listens; `127.0.0.1` in embedded clusters, `0.0.0.0` in pods. */
  readonly host: string;
  /** 0 picks a free one; the `Listening` message says which. */
  readonly port: number;
  /** Directory with `ca.crt`, `tls.crt`, `tls.key`: a mounted Secret. */
  readonly certificates: string;
  /** Writable, private and outside the volumes; kept, it lets a restart end what was left over. */
  readonly state: string;
  readonly modules: readonly MoverModule[];
}

export interface MoverClientConfig {
  readonly host: string;
  readonly port: number;
  /** The name in the server's certificate. */
  readonly serverName: string;
  readonly certificates: string;
  readonly state: string;
  readonly module: string;
  /** Absolute; the directory whose content is copied. */
  readonly source: string;
  /** `Stage`: the application may write meanwhile. `Final`: nobody writes, and an audit closes. */
  readonly pass: 'Stage' | 'Final';
  /** Content is compared by checksum, also where size and time agree. */
  readonly verify?: boolean;
  /** Looked at every few seconds: another rate holds soon. */
  readonly bytesPerSecond?: number;
  /** Default 20. */
  readonly attemptsMax?: number;
  /** Absolute below the source and literal, such as `/cache`: the audit leaves out the same. */
  readonly excludes?: readonly string[];
  /**
   * `Preserve` (default) keeps owners and needs root at the destination; `Mover` gives all files
   * to the mover's user, for storage that allows no chown.
   */
  readonly ownership?: 'Preserve' | 'Mover';
  /** Large files are changed in place: no room for a second copy is needed. */
  readonly inPlace?: boolean;
  /** No byte for so long ends an attempt, no work of the server the closing audit. Default 900. */
  readonly timeoutSeconds?: number;
}

export const attemptsMaxDefault = 20;
export const timeoutSecondsDefault = 900;

export type Fields = Readonly<Record<string, unknown>>;

/** `BadArgument` names the first field that cannot be used. */
export function parseServerConfig(text: string): MoverServerConfig {
  const fields = parseFields(text);
  const modules = fields['modules'];
  if (!Array.isArray(modules) || modules.length === 0) return bad('modules', 'a list of volumes');
  return {
    host: word(fields, 'host'),
    port: port(fields, 0),
    certificates: path(fields, 'certificates'),
    state: path(fields, 'state'),
    modules: modules.map((module: unknown) => {
      const of = asFields(module);
      return { name: moduleName(of, 'name'), path: path(of, 'path'), ...flags(of, 'readOnly') };
    }),
  };
}

/** `BadArgument` names the first field that cannot be used. */
export function parseClientConfig(text: string): MoverClientConfig {
  const fields = parseFields(text);
  const { pass, ownership, excludes = [] } = fields;
  if (pass !== 'Stage' && pass !== 'Final') return bad('pass', 'Stage or Final');
  if (ownership !== undefined && ownership !== 'Preserve' && ownership !== 'Mover') {
    return bad('ownership', 'Preserve or Mover');
  }
  return {
    host: word(fields, 'host'),
    port: port(fields, 1),
    serverName: word(fields, 'serverName'),
    certificates: path(fields, 'certificates'),
    state: path(fields, 'state'),
    module: moduleName(fields, 'module'),
    source: path(fields, 'source'),
    pass,
    excludes: Array.isArray(excludes) ? excludes.map(exclude) : bad('excludes', 'a list of paths'),
    ...(ownership === undefined ? {} : { ownership }),
    ...flags(fields, 'verify', 'inPlace'),
    ...counts(fields, 'bytesPerSecond', 'attemptsMax', 'timeoutSeconds'),
  };
}

export function parseFields(text: string): Fields {
  try {
    return asFields(JSON.parse(text));
  } catch (error) {
    return fail('BadArgument', 'the configuration of a mover is a JSON object', error);
  }
}

function asFields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null) return bad('configuration', 'an object');
  return value as Fields;
}

export function bad(field: string, expected: string): never {
  return fail('BadArgument', `${field} of a mover's configuration must be ${expected}`);
}

/** Becomes a word in the configuration files of other programs: nothing that could end a line. */
function word(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value === 'string' && /^[\w.:-]+$/.test(value)) return value;
  return bad(key, 'a host name or an address');
}

function moduleName(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value === 'string' && /^[a-z0-9][a-z0-9.-]*$/.test(value)) return value;
  return bad(key, 'lower-case letters, digits, dots and hyphens');
}

export function path(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value === 'string' && /^\/[\w./@:+-]*$/.test(value)) return value;
  return bad(key, 'an absolute path without spaces');
}

function exclude(value: unknown): string {
  if (typeof value === 'string' && /^\/[^*?[\]\\\n]*[^*?[\]\\\n/]$/.test(value)) return value;
  return bad('excludes', "paths from the volume's root, without patterns, such as /cache");
}

function port(fields: Fields, min: number): number {
  const value = fields['port'];
  if (typeof value !== 'number') return bad('port', 'a number');
  return Number.isInteger(value) && value >= min && value < 65_536 ? value : bad('port', 'a port');
}

export function flags(fields: Fields, ...keys: readonly string[]): Record<string, boolean> {
  const given = keys.filter((key) => fields[key] !== undefined);
  return Object.fromEntries(given.map((key) => [key, fields[key] === true]));
}

export function counts(fields: Fields, ...keys: readonly string[]): Record<string, number> {
  const given = keys.filter((key) => fields[key] !== undefined);
  return Object.fromEntries(
    given.map((key) => {
      const value = fields[key];
      if (Number.isSafeInteger(value) && Number(value) > 0) return [key, Number(value)];
      return bad(key, 'a whole number above 0');
    }),
  );
}
