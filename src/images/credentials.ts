/** Who asks a registry. Secrets go into requests only, never into a message. */
import { fail } from '../base/errors.ts';

export interface RegistryCredentials {
  readonly username?: string;
  readonly password?: string;
  /** Exchanged for a token where the registry says. */
  readonly identityToken?: string;
  /** Given to the registry as it is. */
  readonly registryToken?: string;
}

/** Gives what is known for a registry and repository; undefined: ask without. */
export type CredentialsFor = (host: string, repository: string) => RegistryCredentials | undefined;

interface Entry {
  readonly host: string;
  /** Beginning of repositories; '' for all. */
  readonly path: string;
  readonly credentials: RegistryCredentials;
}

const hubNames: ReadonlySet<string> = new Set(['index.docker.io', 'registry-1.docker.io']);

/**
 * The text of a Secret's `.dockerconfigjson`. The entry that says most about a repository is used,
 * as a kubelet does. `CredentialsMissing` when the text cannot be read.
 */
export function readDockerConfig(text: string): CredentialsFor {
  const entries = entriesOf(text).toSorted((a, b) => b.path.length - a.path.length);
  return (host, repository) => {
    const known = canonical(host);
    return entries.find((entry) => {
      const { path } = entry;
      const isWithin = path === '' || repository === path || repository.startsWith(`${path}/`);
      return entry.host === known && isWithin;
    })?.credentials;
  };
}

function entriesOf(text: string): Entry[] {
  let auths: unknown;
  try {
    auths = (JSON.parse(text) as { auths?: unknown } | null)?.auths;
  } catch {
    // The parser's message would show a piece of the secret.
    return fail('CredentialsMissing', 'the registry credentials are no JSON');
  }
  if (typeof auths !== 'object' || auths === null) {
    return fail('CredentialsMissing', 'the registry credentials have no field auths');
  }
  return Object.entries(auths as Record<string, unknown>).map(([key, value]) => {
    const [host = '', ...rest] = key.replace(/^https?:\/\//, '').split('/');
    const path = rest.join('/').replace(/\/$/, '');
    const isApi = path === 'v1' || path === 'v2';
    return { host: canonical(host), path: isApi ? '' : path, credentials: credentialsOf(value) };
  });
}

function credentialsOf(value: unknown): RegistryCredentials {
  const fields = typeof value === 'object' && value !== null ? value : {};
  const textOf = (name: string): string | undefined => {
    const one = (fields as Record<string, unknown>)[name];
    return typeof one === 'string' && one !== '' ? one : undefined;
  };
  const decoded = Buffer.from(textOf('auth') ?? '', 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  const username = colon > 0 ? decoded.slice(0, colon) : textOf('username');
  const password = colon > 0 ? decoded.slice(colon + 1) : textOf('password');
  const identityToken = textOf('identitytoken');
  const registryToken = textOf('registrytoken');
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(identityToken !== undefined && { identityToken }),
    ...(registryToken !== undefined && { registryToken }),
  };
}

function canonical(host: string): string {
  const lower = host.toLowerCase();
  return hubNames.has(lower) ? 'docker.io' : lower;
}
