// Places for repositories: a directory, and a bucket behind TLS of a private authority.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RepositoryPlace } from '../../../src/api/repository-place.ts';
import { makeMoverCertificates } from '../../../src/host/mover/certificates.ts';
import { ensureS3, startS3 } from '../../../tools/s3/server.ts';

export const s3 = await ensureS3();
export const skipS3 = 'reason' in s3 && s3.reason;

export interface Place extends AsyncDisposable {
  readonly place: RepositoryPlace;
}

export type Bucket = Exclude<RepositoryPlace, { directory: string }>;

export function directoryPlace(directory: string): Place {
  return { place: { directory }, [Symbol.asyncDispose]: async () => undefined };
}

export async function bucketPlace(
  directory: string,
): Promise<AsyncDisposable & { readonly place: Bucket }> {
  if ('reason' in s3) throw new Error(s3.reason);
  const { server } = makeMoverCertificates('localhost', Date.now());
  const files = { certificate: join(directory, 's3.crt'), key: join(directory, 's3.key') };
  writeFileSync(files.certificate, server['tls.crt'] + server['ca.crt']);
  writeFileSync(files.key, server['tls.key'], { mode: 0o600 });
  const started = await startS3(s3.path, files);
  const { endpoint, bucket, accessKeyId, secretAccessKey } = started;
  const keys = { accessKeyId, secretAccessKey, region: 'us-east-1', forcePathStyle: true };
  const place = { endpoint, bucket, prefix: 'in/depth', caBundle: server['ca.crt'], ...keys };
  return { place, [Symbol.asyncDispose]: () => started.stop() };
}
