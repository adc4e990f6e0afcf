/**
 * The Repository of a transfer in another cluster: its agents need to know how it is reached. One
 * of that name that somebody applied there is used as it is; else a copy of the hub's is made,
 * with a Secret of its own in the namespace of the controllers there.
 */
import { repositories, type Repository } from '../../../api/kinds/repository.ts';
import { fail, unlessThere } from '../../../base/errors.ts';
import { type Secret, secrets } from '../../../kube/resources.ts';
import { repositoryPrefix } from '../../../workload/ours.ts';
import type { Context } from '../../context.ts';
import { systemNamespace } from '../../installation.ts';
import { annotations } from '../../labels.ts';
import type { ClusterAccess } from '../../remotes/access.ts';
import { passwordOf } from '../../repository/access.ts';
import { placeOfRepository } from '../../repository/place.ts';
import { conditionOf } from '../../status.ts';

/** Undefined: agents there can use it. Else what is waited for. */
export async function makeRepositoryKnown(
  context: Context,
  name: string,
  { client, name: cluster }: ClusterAccess,
): Promise<string | undefined> {
  const known = context.informers.repositories.get({ namespace: '', name });
  const own = known ?? fail('NotFound', `there is no Repository ${name}`);
  const there = await client.get(repositories, { namespace: '', name });
  // The hub's own cluster has the very object.
  const isOwn = there?.metadata.uid === own.metadata.uid;
  const isOurs = there?.metadata.annotations?.[annotations.madeFor] !== undefined;
  if (!isOwn && (there === undefined || isOurs)) {
    await copySecret(context, own, client);
    if (there === undefined) await copyObject(own, client);
  }
  const heard = there === undefined ? undefined : conditionOf(there, 'Known');
  if (heard?.status === 'True') return undefined;
  const what = `Repository ${name} of cluster ${cluster}`;
  const ready = there === undefined ? undefined : conditionOf(there, 'Ready');
  const told = [ready, heard].find((one) => one?.status === 'False');
  return told === undefined ? `${what} is being tried` : `${what}: ${told.message}`;
}

/** Other credentials of the hub's are passed on, too. */
async function copySecret(
  context: Context,
  own: Repository,
  client: ClusterAccess['client'],
): Promise<void> {
  const place = await placeOfRepository(context.client, own);
  const texts = {
    password: await passwordOf(context, own),
    ...('directory' in place
      ? {}
      : { accessKeyId: place.accessKeyId, secretAccessKey: place.secretAccessKey }),
  };
  const entries = Object.entries(texts).map(([key, text]) => {
    return [key, Buffer.from(text).toString('base64')] as const;
  });
  const data = Object.fromEntries(entries);
  const key = secretKey(own);
  const there = await client.get(secrets, key);
  if (there === undefined) {
    const metadata = { ...key, annotations: { [annotations.madeFor]: madeFor(own) } };
    await unlessThere(client.create<Secret>(secrets, { metadata, type: 'Opaque', data }));
    return;
  }
  const isSame = entries.every(([name, value]) => there.data?.[name] === value);
  if (!isSame) await client.patch(secrets, key, { data });
}

async function copyObject(own: Repository, client: ClusterAccess['client']): Promise<void> {
  const { name = '' } = own.metadata;
  const { s3, directory } = own.spec;
  const key = secretKey(own);
  const metadata = { name, annotations: { [annotations.madeFor]: madeFor(own) } };
  const where =
    s3 === undefined ? { directory: directory! } : { s3: { ...s3, credentialsSecretRef: key } };
  const spec = { ...where, passwordSecretRef: key };
  await unlessThere(client.create<Repository>(repositories, { metadata, spec }));
}

function secretKey({ metadata }: Repository) {
  return { namespace: systemNamespace, name: `${repositoryPrefix}${metadata.name}` };
}

function madeFor({ metadata }: Repository): string {
  return `Repository ${metadata.name} of another cluster`;
}
