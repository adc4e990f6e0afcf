/** What an agent needs to save volumes in a Repository: where it is, and the password. */
import type { Repository } from '../../api/kinds/repository.ts';
import type { RequestOf } from '../../api/control.ts';
import { fail, unlessThere } from '../../base/errors.ts';
import { type Secret, secrets } from '../../kube/resources.ts';
import { repositoryPrefix } from '../../workload/ours.ts';
import type { Context } from '../context.ts';
import { systemNamespace } from '../installation.ts';
import { annotations } from '../labels.ts';
import { readSecret, type SecretPlace } from '../secret-entry.ts';
import { placeOfRepository } from './place.ts';

const entry = 'password';
const passwordBytes = 32;
/** Beside what restic keeps there. */
const folder = 'transship-chunks';

export type RepositoryAccess = RequestOf<'repository.add'>;

/** `CredentialsMissing`, `BadArgument`, `Forbidden`. Makes a password where there is none. */
export async function accessOf(
  context: Context,
  repository: Repository,
): Promise<RepositoryAccess> {
  const { name = '' } = repository.metadata;
  const password = await passwordOf(context, repository);
  const place = await placeOfRepository(context.client, repository);
  if ('directory' in place) return { name, password, directory: `${place.directory}/${folder}` };
  const { prefix, caBundle, ...rest } = place;
  const parts = [prefix.replace(/\/+$/, ''), folder].filter((part) => part !== '');
  const trust = caBundle === undefined ? {} : { caBundle };
  return { name, password, prefix: parts.join('/'), ...trust, ...rest };
}

/** Where the password of a Repository is that names no Secret. */
export function passwordSecretOf({ metadata, spec }: Repository): SecretPlace {
  const { name = '' } = metadata;
  return spec.passwordSecretRef ?? { namespace: systemNamespace, name: repositoryPrefix + name };
}

export async function passwordOf(context: Context, repository: Repository): Promise<string> {
  const place = passwordSecretOf(repository);
  const isOurs = repository.spec.passwordSecretRef === undefined;
  const found = await context.client.get(secrets, place);
  if (found === undefined && isOurs) await makePassword(context, repository, place);
  const [password = ''] = await readSecret(context.client, place, [entry]);
  // As it comes out of files that end with a line.
  const trimmed = password.trim();
  if (trimmed === '') fail('CredentialsMissing', `the password of Secret ${place.name} is empty`);
  return trimmed;
}

async function makePassword(
  { client, ports }: Context,
  { metadata }: Repository,
  place: SecretPlace,
): Promise<void> {
  const password = Buffer.from(ports.random.bytes(passwordBytes)).toString('hex');
  const data = { [entry]: Buffer.from(password).toString('base64') };
  const notes = { [annotations.madeFor]: `Repository ${metadata.name}` };
  await unlessThere(
    client.create<Secret>(secrets, {
      metadata: { ...place, annotations: notes },
      type: 'Opaque',
      data,
    }),
  );
}
