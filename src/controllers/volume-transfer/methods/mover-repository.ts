/** Where a volume is in a Repository, and the password of what is there. */
import { createHash } from 'node:crypto';
import type { Repository } from '../../../api/kinds/repository.ts';
import { asTransshipError, fail } from '../../../base/errors.ts';
import type { RepositoryPlace } from '../../../api/repository-place.ts';
import { type Secret, secrets } from '../../../kube/resources.ts';
import { repositoryPrefix } from '../../../workload/ours.ts';
import { annotations } from '../../labels.ts';
import { placeOfRepository } from '../../repository/place.ts';
import { moveIdOf, stageOf, uidOf } from '../marks.ts';
import type { Transfer } from '../method.ts';
import { runsHostProcesses } from './mover-users.ts';

const directory = 'transship-volumes';
const passwordBytes = 32;
const entry = 'password';

export interface OpenRepository {
  readonly place: RepositoryPlace;
  readonly password: string;
}

export function repositoryOf({ context, object }: Transfer): Repository | undefined {
  const { repository: name = '' } = object.spec;
  return context.informers.repositories.get({ namespace: '', name });
}

/** All volumes of one plan are together there; those of a transfer alone by what they are. */
async function idOf({ context, object }: Transfer): Promise<string> {
  const moveId = await moveIdOf(context, object);
  return moveId === uidOf(object) ? stageOf(object) : moveId;
}

/** `NotFound`, `Unsupported`, `CredentialsMissing`: with what somebody has to do. */
export async function openRepository(transfer: Transfer): Promise<OpenRepository> {
  const { context, object, source, destination } = transfer;
  const { repository: name = '' } = object.spec;
  const repository = repositoryOf(transfer);
  if (repository === undefined) return fail('NotFound', `there is no Repository ${name}`);
  const place = await placeOfRepository(context.client, repository);
  const id = await idOf(transfer);
  const password = await passwordFor(transfer, `${name}/${id}`);
  if ('directory' in place) {
    for (const { client, name: cluster } of [source, destination]) {
      if (await runsHostProcesses(client)) continue;
      const why = `pods of cluster ${cluster} cannot see directory ${place.directory}`;
      fail('Unsupported', `${why} of Repository ${name}; use a Repository with s3`);
    }
    return { place: { directory: `${place.directory}/${directory}/${id}` }, password };
  }
  const parts = [place.prefix.replace(/\/+$/, ''), directory, id].filter((part) => part !== '');
  return { place: { ...place, prefix: parts.join('/') }, password };
}

/** Made once, and kept at the hub for as long as what it opens may be of use. */
async function passwordFor({ context, object }: Transfer, what: string): Promise<string> {
  const hash = createHash('sha256').update(what).digest('hex').slice(0, 16);
  const key = { namespace: object.metadata.namespace ?? '', name: `${repositoryPrefix}${hash}` };
  const found = await context.client.get(secrets, key);
  const known = found?.data?.[entry];
  if (known !== undefined) return Buffer.from(known, 'base64').toString('utf8');
  const password = Buffer.from(context.ports.random.bytes(passwordBytes)).toString('hex');
  const data = { [entry]: Buffer.from(password).toString('base64') };
  const metadata = { ...key, annotations: { [annotations.madeFor]: what } };
  try {
    await context.client.create<Secret>(secrets, { metadata, type: 'Opaque', data });
    return password;
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    return fail('Conflict', `Secret ${key.namespace}/${key.name} has just been made`);
  }
}
