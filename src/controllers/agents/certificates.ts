/**
 * The certificates with which controllers and agents of one cluster prove themselves to each other:
 * two Secrets of one authority, made by whichever controller comes first, renewed in time. The
 * authority's key never leaves the controllers' Secret.
 */
import { X509Certificate } from 'node:crypto';
import { asTransshipError, fail } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import { type Secret, secrets } from '../../kube/resources.ts';
import { partOf, systemNamespace } from '../installation/names.ts';

export const controllerSecret = 'transship-controller-tls';
export const agentSecret = 'transship-agent-tls';

/** PEM texts. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** PEM texts: whom to trust, and who one is. */
export interface Credentials extends KeyPair {
  readonly authority: string;
}

/** Makes certificates; `src/host` implements it. */
export interface CertificateMaker {
  authority(): KeyPair;
  /** Valid for a year. A server's certificate is for the name that all agents have. */
  issue(authority: KeyPair, use: 'server' | 'client'): KeyPair;
  nowMs(): number;
}

/** Names of the entries as in every Secret with certificates; the last is of the authority. */
const entries = {
  authority: 'ca.crt',
  certificate: 'tls.crt',
  key: 'tls.key',
  authorityKey: 'ca.key',
} as const;

/**
 * What the controllers prove themselves with; both Secrets are there and fresh when it resolves.
 * Can be repeated, and several controllers may do it at once. `Forbidden` names a missing right.
 */
export async function ensureAgentCertificates(
  client: KubeClient,
  maker: CertificateMaker,
): Promise<Credentials> {
  const own = await controllerMaterial(client, maker);
  const authority = { certificate: own.authority, key: own.authorityKey };
  await ensureAgents(client, maker, authority);
  return { authority: own.authority, certificate: own.certificate, key: own.key };
}

interface ControllerMaterial extends Credentials {
  readonly authorityKey: string;
}

async function controllerMaterial(
  client: KubeClient,
  maker: CertificateMaker,
): Promise<ControllerMaterial> {
  const found = await read(client, controllerSecret);
  if (found === undefined) return makeController(client, maker);
  const { authority, authorityKey, certificate } = found;
  if (authorityKey === '') {
    const remedy = `delete it, and the controllers make a new one`;
    fail('Conflict', `Secret ${systemNamespace}/${controllerSecret} has no ca.key: ${remedy}`);
  }
  if (isFresh(certificate, authority, maker.nowMs())) return { ...found, authorityKey };
  const issued = maker.issue({ certificate: authority, key: authorityKey }, 'client');
  const made = { authority, authorityKey, ...issued };
  await client.patch(secrets, placeOf(controllerSecret), { data: dataOf(made) });
  return made;
}

async function makeController(
  client: KubeClient,
  maker: CertificateMaker,
): Promise<ControllerMaterial> {
  const authority = maker.authority();
  const made = {
    authority: authority.certificate,
    authorityKey: authority.key,
    ...maker.issue(authority, 'client'),
  };
  if (await create(client, controllerSecret, made)) return made;
  // Another controller was quicker: its authority is the one.
  return controllerMaterial(client, maker);
}

async function ensureAgents(
  client: KubeClient,
  maker: CertificateMaker,
  authority: KeyPair,
): Promise<void> {
  const found = await read(client, agentSecret);
  if (
    found !== undefined &&
    found.authority === authority.certificate &&
    isFresh(found.certificate, authority.certificate, maker.nowMs())
  ) {
    return;
  }
  const made = { authority: authority.certificate, ...maker.issue(authority, 'server') };
  if (found === undefined && (await create(client, agentSecret, made))) return;
  if (found === undefined) return ensureAgents(client, maker, authority);
  await client.patch(secrets, placeOf(agentSecret), { data: dataOf(made) });
}

/** Signed by this authority, and not yet in the second half of its time. */
function isFresh(certificate: string, authority: string, nowMs: number): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    const halfMs = (parsed.validFromDate.getTime() + parsed.validToDate.getTime()) / 2;
    return nowMs < halfMs && parsed.verify(new X509Certificate(authority).publicKey);
  } catch {
    return false;
  }
}

const placeOf = (name: string) => ({ namespace: systemNamespace, name });

async function read(client: KubeClient, name: string): Promise<ControllerMaterial | undefined> {
  const secret = await client.get(secrets, placeOf(name));
  if (secret === undefined) return undefined;
  const entry = (key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
  return {
    authority: entry(entries.authority),
    certificate: entry(entries.certificate),
    key: entry(entries.key),
    authorityKey: entry(entries.authorityKey),
  };
}

function dataOf(
  material: Credentials & { readonly authorityKey?: string },
): Readonly<Record<string, string>> {
  const { authorityKey } = material;
  const texts: readonly (readonly [string, string])[] = [
    [entries.authority, material.authority],
    [entries.certificate, material.certificate],
    [entries.key, material.key],
    ...(authorityKey === undefined ? [] : ([[entries.authorityKey, authorityKey]] as const)),
  ];
  return Object.fromEntries(
    texts.map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  );
}

/** False when somebody else made it meanwhile. */
async function create(
  client: KubeClient,
  name: string,
  material: Credentials & { readonly authorityKey?: string },
): Promise<boolean> {
  const secret: Pick<Secret, 'metadata' | 'type' | 'data'> = {
    metadata: { ...placeOf(name), labels: partOf },
    type: 'kubernetes.io/tls',
    data: dataOf(material),
  };
  try {
    await client.create(secrets, secret);
    return true;
  } catch (error) {
    if (asTransshipError(error).reason === 'AlreadyExists') return false;
    throw error;
  }
}
