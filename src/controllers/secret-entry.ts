/** Entries of Secrets that objects name. Their values are never part of a message. */
import { fail } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { secrets } from '../kube/resources.ts';

export interface SecretPlace {
  readonly namespace: string;
  readonly name: string;
}

/** Texts of the entries, in the order of `keys`. `CredentialsMissing` names what is not there. */
export async function readSecret(
  client: KubeClient,
  { namespace, name }: SecretPlace,
  keys: readonly string[],
): Promise<readonly string[]> {
  const secret = await client.get(secrets, { namespace, name });
  if (secret === undefined) fail('CredentialsMissing', `there is no Secret ${namespace}/${name}`);
  return keys.map((key) => {
    const value = secret.data?.[key];
    if (value === undefined || value === '') {
      fail('CredentialsMissing', `Secret ${namespace}/${name} has no entry ${key}`);
    }
    return Buffer.from(value, 'base64').toString('utf8');
  });
}
