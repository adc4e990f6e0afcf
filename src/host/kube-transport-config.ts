/**
 * Reading a kubeconfig (Kubernetes documentation, "Organizing Cluster Access Using kubeconfig
 * Files"): the place, the trust and the credentials of one context.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { parse } from 'yaml';
import { fail } from '../base/errors.ts';

/** A kubeconfig with a hundred clusters has about 300 KiB. */
export const kubeconfigBytesMax = 4 * 1024 * 1024;
/** Names that a message lists. */
const namesShownMax = 10;

type Fields = Readonly<Record<string, unknown>>;

export interface KubeconfigSource {
  readonly kubeconfigText: string;
  /** The current context of the kubeconfig when absent. */
  readonly context?: string | undefined;
  /**
   * The directory of a kubeconfig that belongs to whoever runs this program. Only such a one may
   * name files and commands; one that came from elsewhere must bring all it needs.
   */
  readonly ownDirectory?: string | undefined;
}

/** Text that is in the kubeconfig, or in a file that may change. */
export type Material = { readonly text: string } | { readonly file: string };

export interface KubeconfigAccess {
  readonly context: string;
  readonly server: URL;
  readonly ca: Material | undefined;
  readonly serverName: string | undefined;
  readonly credentials: Credentials;
  /** Impersonation headers. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
}

export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly token: Material }
  | { readonly kind: 'certificate'; readonly certificate: Material; readonly key: Material }
  /** Commands and identity providers: the library's business. */
  | { readonly kind: 'plugin'; readonly config: PluginConfig };

export interface PluginConfig {
  /** As a kubeconfig has them, with this one user and cluster only. */
  readonly kubeconfig: Fields;
  readonly name: string;
}

export interface KubeconfigFile {
  readonly kubeconfigText: string;
  readonly ownDirectory: string;
}

/** Reads a kubeconfig of this machine's user. `BadArgument` says why it cannot be read. */
export function readKubeconfigFile(file: string): KubeconfigFile {
  const text = readMaterialFile('kubeconfig', path.resolve(file));
  return { kubeconfigText: text, ownDirectory: path.dirname(path.resolve(file)) };
}

const fileTroubles: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  EISDIR: 'it is a directory',
};

export function readMaterialFile(what: string, file: string): string {
  try {
    if (fs.statSync(file).size > kubeconfigBytesMax) {
      return fail('BadArgument', `${what} ${file}: larger than ${kubeconfigBytesMax} bytes`);
    }
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    return fail('BadArgument', `${what} ${file}: ${fileTroubles[code] ?? code}`, error);
  }
}

/** `BadArgument` for what is wrong or unsafe, `Unsupported` for what we do not do. */
export function readKubeconfig(source: KubeconfigSource): KubeconfigAccess {
  const config = parseText(source.kubeconfigText);
  const contextName = source.context ?? textOf(config, 'current-context') ?? '';
  if (contextName === '') fail('BadArgument', 'the kubeconfig has no current context: name one');
  const context = named(config, 'contexts', 'context', contextName);
  const clusterName = textOf(context, 'cluster') ?? '';
  const userName = textOf(context, 'user') ?? '';
  const cluster = named(config, 'clusters', 'cluster', clusterName);
  const user = userName === '' ? {} : named(config, 'users', 'user', userName);
  const reader = new MaterialReader(source.ownDirectory);
  return {
    context: contextName,
    server: serverOf(cluster),
    ca: caOf(cluster, reader),
    serverName: textOf(cluster, 'tls-server-name'),
    credentials: credentialsOf(user, reader, { cluster, clusterName, userName }),
    headers: impersonationOf(user),
  };
}

function parseText(text: string): Fields {
  if (text.length > kubeconfigBytesMax) fail('BadArgument', 'the kubeconfig is too large');
  try {
    const value: unknown = parse(text, { maxAliasCount: 0 });
    if (isFields(value)) return value;
  } catch (error) {
    // Not the parser's message: it quotes the line, which may be a token.
    return fail('BadArgument', `the kubeconfig is no YAML${placeOf(error)}`);
  }
  return fail('BadArgument', 'the kubeconfig is empty or no mapping');
}

function placeOf(error: unknown): string {
  const place = (error as { linePos?: readonly { line?: unknown }[] }).linePos?.[0]?.line;
  return typeof place === 'number' ? ` (line ${place})` : '';
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  return fail('BadArgument', `kubeconfig: ${name} is no text`);
}

function named(config: Fields, list: string, field: string, name: string): Fields {
  const entries = (Array.isArray(config[list]) ? config[list] : []).filter(isFields);
  const found = entries.find((entry) => entry['name'] === name)?.[field];
  if (isFields(found)) return found;
  const names = entries.map((entry) => String(entry['name']));
  const shown = names.slice(0, namesShownMax).join(', ');
  const more = names.length > namesShownMax ? ', …' : '';
  const known = names.length === 0 ? `it has no ${list}` : `it has ${shown}${more}`;
  return fail('BadArgument', `the kubeconfig has no ${field} "${name}": ${known}`);
}

function serverOf(cluster: Fields): URL {
  const text = textOf(cluster, 'server') ?? fail('BadArgument', 'kubeconfig: no server is given');
  if (!URL.canParse(text)) fail('BadArgument', `kubeconfig: server "${text}" is no URL`);
  const url = new URL(text);
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    fail('BadArgument', `kubeconfig: ${text} is not encrypted: give an https server`);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    fail('BadArgument', `kubeconfig: server "${text}" is neither https nor http`);
  }
  if (url.username !== '' || url.password !== '') {
    fail('BadArgument', 'kubeconfig: the server must not contain a password');
  }
  if (cluster['insecure-skip-tls-verify'] === true) {
    const remedy = 'give its authority as certificate-authority-data (base64 of the PEM) instead';
    fail('BadArgument', `kubeconfig: insecure-skip-tls-verify is refused: ${remedy}`);
  }
  if (textOf(cluster, 'proxy-url') !== undefined) {
    const remedy = 'give a server that is reached directly';
    fail('Unsupported', `kubeconfig: proxy-url is not supported: ${remedy}`);
  }
  return url;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

class MaterialReader {
  readonly #ownDirectory: string | undefined;

  constructor(ownDirectory: string | undefined) {
    this.#ownDirectory = ownDirectory;
  }

  /** Files and commands are for kubeconfigs of this machine's user only. */
  mayReachOut(field: string): string {
    if (this.#ownDirectory !== undefined) return this.#ownDirectory;
    const remedy = 'make one with `kubectl config view --flatten --minify`';
    return fail(
      'BadArgument',
      `kubeconfig: ${field} is refused, because it must bring all it needs: ${remedy}`,
    );
  }

  /** `NAME-data` in base64, or the file that `NAME` is. */
  pem(fields: Fields, name: string): Material | undefined {
    const data = textOf(fields, `${name}-data`);
    if (data === undefined) return this.file(fields, name);
    const text = Buffer.from(data, 'base64').toString('latin1');
    if (text.includes('-----BEGIN ')) return { text };
    return fail('BadArgument', `kubeconfig: ${name}-data is no PEM in base64`);
  }

  file(fields: Fields, name: string): Material | undefined {
    const file = textOf(fields, name);
    if (file === undefined) return undefined;
    return { file: path.resolve(this.mayReachOut(name), file) };
  }
}

function caOf(cluster: Fields, reader: MaterialReader): Material | undefined {
  return reader.pem(cluster, 'certificate-authority');
}

interface Names {
  readonly cluster: Fields;
  readonly clusterName: string;
  readonly userName: string;
}

function credentialsOf(user: Fields, reader: MaterialReader, names: Names): Credentials {
  const certificate = reader.pem(user, 'client-certificate');
  const key = reader.pem(user, 'client-key');
  if (certificate !== undefined && key !== undefined) {
    return { kind: 'certificate', certificate, key };
  }
  if (certificate !== undefined || key !== undefined) {
    const missing = key === undefined ? 'client-key' : 'client-certificate';
    fail('BadArgument', `kubeconfig: user "${names.userName}" has no ${missing}`);
  }
  const token = tokenOf(user, reader);
  if (token !== undefined) return { kind: 'token', token };
  for (const field of ['exec', 'auth-provider']) {
    if (!isFields(user[field])) continue;
    reader.mayReachOut(field);
    return { kind: 'plugin', config: pluginConfig(user, field, names) };
  }
  if (textOf(user, 'username') !== undefined) {
    fail('Unsupported', 'kubeconfig: passwords are not supported: give a token or a certificate');
  }
  return { kind: 'none' };
}

/** A file wins, because it is renewed (as in client-go). */
function tokenOf(user: Fields, reader: MaterialReader): Material | undefined {
  const file = reader.file(user, 'tokenFile');
  if (file !== undefined) return file;
  const token = textOf(user, 'token');
  return token === undefined ? undefined : { text: token };
}

function pluginConfig(user: Fields, field: string, names: Names): PluginConfig {
  const { cluster, clusterName, userName } = names;
  const provider = user[field] as Fields;
  const command = textOf(provider, field === 'exec' ? 'command' : 'name') ?? field;
  return {
    name: command,
    kubeconfig: {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'only',
      contexts: [{ name: 'only', context: { cluster: clusterName, user: userName } }],
      clusters: [{ name: clusterName, cluster }],
      users: [{ name: userName, user }],
    },
  };
}

function impersonationOf(user: Fields): KubeconfigAccess['headers'] {
  const name = textOf(user, 'as');
  const groups = user['as-groups'];
  if (name === undefined) {
    if (groups === undefined) return {};
    return fail('BadArgument', 'kubeconfig: as-groups needs as');
  }
  const uid = textOf(user, 'as-uid');
  const list = Array.isArray(groups) ? groups.map(String) : [];
  return {
    'impersonate-user': name,
    ...(uid === undefined ? {} : { 'impersonate-uid': uid }),
    ...(list.length === 0 ? {} : { 'impersonate-group': list }),
  };
}
