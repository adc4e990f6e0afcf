/** Who may ask a registry: the Secret of its `Cluster`, else the pull secrets of namespaces. */
import { asTransshipError, fail } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import { type Secret, secrets } from '../../kube/resources.ts';
import { type CredentialsFor, readDockerConfig } from '../../images/images.ts';
import type { SecretPlace } from '../secret-entry.ts';
import type { RegistryPlace } from './place.ts';

const pullTypes = ['kubernetes.io/dockerconfigjson', 'kubernetes.io/dockercfg'] as const;
const builder = 'builder-dockercfg-';
/** Of one namespace; more are not looked at. */
const pullSecretsMax = 100;

/** `CredentialsMissing` when the Secret is not there or of another type. */
export async function clusterCredentials(
  hub: KubeClient,
  place: SecretPlace,
  registry: RegistryPlace,
): Promise<CredentialsFor> {
  const name = `${place.namespace}/${place.name}`;
  const secret = await hub.get(secrets, { namespace: place.namespace, name: place.name });
  if (secret === undefined) return fail('CredentialsMissing', `there is no Secret ${name}`);
  const username = entryOf(secret, 'username');
  const password = entryOf(secret, 'password');
  if (username !== undefined && password !== undefined) return () => ({ username, password });
  const config = configOf(secret);
  if (config !== undefined) return underAnyName(registry, [config]);
  return fail(
    'CredentialsMissing',
    `Secret ${name} has neither .dockerconfigjson nor username and password`,
  );
}

/**
 * What pods of these namespaces pull with, and builds push with; a namespace that may not be read
 * has none.
 */
export async function pullCredentials(
  client: KubeClient,
  namespaces: readonly string[],
  registry: RegistryPlace,
): Promise<CredentialsFor> {
  const configs: CredentialsFor[] = [];
  for (const namespace of namespaces) {
    for (const type of pullTypes) {
      configs.push(...(await configsIn(client, namespace, type)));
    }
  }
  return underAnyName(registry, configs);
}

async function configsIn(
  client: KubeClient,
  namespace: string,
  type: string,
): Promise<CredentialsFor[]> {
  const configs: CredentialsFor[] = [];
  try {
    for await (const one of client.list(secrets, { namespace, fields: `type=${type}` })) {
      const config = configs.length < pullSecretsMax ? readable(one) : undefined;
      if (config === undefined) continue;
      // OpenShift's account for builds may push; that for pods may only pull.
      if (one.metadata.name?.startsWith(builder) === true) configs.unshift(config);
      else configs.push(config);
    }
  } catch (error) {
    if (asTransshipError(error).reason !== 'Forbidden') throw error;
  }
  return configs;
}

/** Users may have Secrets that say nothing; those are no pod's credentials either. */
function readable(secret: Secret): CredentialsFor | undefined {
  try {
    return configOf(secret);
  } catch (error) {
    if (asTransshipError(error).reason !== 'CredentialsMissing') throw error;
    return undefined;
  }
}

function configOf(secret: Secret): CredentialsFor | undefined {
  const text = entryOf(secret, '.dockerconfigjson');
  if (text !== undefined) return readDockerConfig(text);
  const older = entryOf(secret, '.dockercfg');
  // The same entries, without the field around them.
  return older === undefined ? undefined : readDockerConfig(`{"auths":${older}}`);
}

function entryOf({ data }: Secret, key: string): string | undefined {
  const value = data?.[key];
  return value === undefined || value === ''
    ? undefined
    : Buffer.from(value, 'base64').toString('utf8');
}

/** The registry is asked under one name, and the entry may have another one of it. */
function underAnyName(
  { hosts }: RegistryPlace,
  configs: readonly CredentialsFor[],
): CredentialsFor {
  return (asked, repository) => {
    const names = hosts.includes(asked) ? hosts : [asked];
    for (const config of configs) {
      for (const name of names) {
        const found = config(name, repository);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  };
}
