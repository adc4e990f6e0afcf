/** Where a Repository is, with the credentials that its Secret has. */
import type { Repository } from '../../api/kinds/repository.ts';
import { fail } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { RepositoryPlace } from '../../api/repository-place.ts';
import { readSecret } from '../secret-entry.ts';

/** `CredentialsMissing`, `BadArgument`. */
export async function placeOfRepository(
  client: KubeClient,
  { spec }: Repository,
): Promise<RepositoryPlace> {
  if (spec.directory !== undefined) return { directory: spec.directory.path };
  const { s3 } = spec;
  if (s3 === undefined) fail('BadArgument', 'neither s3 nor directory is given');
  const keys = ['accessKeyId', 'secretAccessKey'];
  const [accessKeyId = '', secretAccessKey = ''] = await readSecret(
    client,
    s3.credentialsSecretRef,
    keys,
  );
  return {
    endpoint: s3.endpoint,
    bucket: s3.bucket,
    region: s3.region ?? 'us-east-1',
    prefix: s3.prefix ?? '',
    accessKeyId: accessKeyId.trim(),
    secretAccessKey: secretAccessKey.trim(),
    forcePathStyle: s3.forcePathStyle ?? false,
    ...(s3.caBundle === undefined ? {} : { caBundle: s3.caBundle }),
  };
}
