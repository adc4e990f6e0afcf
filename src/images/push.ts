/** Manifests and tags into a repository, each only where it is not there yet. */
import { fail } from '../base/errors.ts';
import { drain } from './bodies.ts';
import { algorithmOf, digestOf, tagOfDigest } from './digest.ts';
import { acceptedTypes, type Manifest, ociIndexType, readManifest } from './manifest.ts';
import type { Repository } from './registry.ts';
import { fetchManifest } from './tree.ts';

/** Under its digest, or under a tag. Its content must be there already. */
export async function pushManifest(
  to: Repository,
  manifest: Manifest,
  reference: string = manifest.digest,
): Promise<boolean> {
  if (await isThere(to, manifest, reference)) return false;
  const answer = await to.send({
    method: 'PUT',
    path: `manifests/${reference}`,
    headers: { 'content-type': manifest.mediaType },
    body: manifest.bytes,
    expected: [201, 202],
  });
  await drain(answer.body);
  const told = answer.headers['docker-content-digest'];
  if (told !== undefined && told !== digestOf(manifest.bytes, algorithmOf(told))) {
    fail('ImageInvalid', `${to.name}: the registry stored something else than ${manifest.digest}`);
  }
  return true;
}

async function isThere(to: Repository, manifest: Manifest, reference: string): Promise<boolean> {
  const answer = await to.send({
    method: 'HEAD',
    path: `manifests/${reference}`,
    headers: { accept: acceptedTypes },
    expected: [200, 404],
  });
  await drain(answer.body);
  if (answer.status !== 200) return false;
  const told = answer.headers['docker-content-digest'];
  if (told !== undefined) return told === manifest.digest;
  return reference === manifest.digest;
}

/**
 * Where the registry keeps no list of referrers itself, clients keep one as an index under a tag
 * made of the digest (distribution-spec 1.1, "Referrers tag schema").
 */
export async function listReferrers(to: Repository, manifests: readonly Manifest[]): Promise<void> {
  const bySubject = Map.groupBy(
    manifests.filter(({ subject }) => subject !== undefined),
    ({ subject }) => subject ?? '',
  );
  for (const [subject, referrers] of bySubject) {
    if (await hasReferrersApi(to, subject)) return;
    await addToIndex(to, tagOfDigest(subject), referrers);
  }
}

async function hasReferrersApi(to: Repository, subject: string): Promise<boolean> {
  const path = `referrers/${subject}`;
  const answer = await to.send({ method: 'GET', path, expected: [200, 404] });
  await drain(answer.body);
  return answer.status === 200 && (answer.headers['content-type'] ?? '').startsWith(ociIndexType);
}

async function addToIndex(
  to: Repository,
  tag: string,
  referrers: readonly Manifest[],
): Promise<void> {
  const there = await fetchManifest(to, tag);
  const known = new Set(there?.children.map(({ digest }) => digest));
  const added = referrers.filter(({ digest }) => !known.has(digest));
  if (added.length === 0) return;
  const document = {
    schemaVersion: 2,
    mediaType: ociIndexType,
    manifests: [
      ...entriesOf(there),
      ...added.map(({ mediaType, digest, bytes, about }) => {
        return { mediaType, digest, size: bytes.length, ...about };
      }),
    ],
  };
  const bytes = Buffer.from(JSON.stringify(document), 'utf8');
  const what = `${to.name}: the list of referrers`;
  const index = readManifest({ bytes, contentType: ociIndexType, digest: undefined, what });
  await pushManifest(to, index, tag);
}

/** As they stand there, so that what others wrote about them stays. */
function entriesOf(index: Manifest | undefined): readonly unknown[] {
  if (index === undefined) return [];
  const fields = JSON.parse(Buffer.from(index.bytes).toString('utf8')) as { manifests: unknown[] };
  return fields.manifests;
}
