/**
 * The Secrets of both sides. Their certificates are of one authority or both are made anew. That
 * of the client also remembers, in an annotation, what pods forget when they go.
 */
import { asTransshipError } from '../../../base/errors.ts';
import type { SavedVolume } from '../../../files/mover-messages.ts';
import { type ObjectKey } from '../../../kube/objects.ts';
import { type Secret, secrets } from '../../../kube/resources.ts';
import { annotations } from '../../labels.ts';
import type { Transfer } from '../method.ts';
import {
  authorityOf,
  clientAt,
  type Endpoint,
  keyAt,
  labelsOf,
  type MoverWork,
  type Route,
  serverNameOf,
  type SideName,
} from './mover-job.ts';

export interface MoverMemory {
  /** Client pods that were made. */
  readonly runs: number;
  /** The way that is taken has led to the server at least once. */
  readonly reached: boolean;
  /** Ways that did not lead there, in order, and why. */
  readonly tried: readonly { readonly route: string; readonly message: string }[];
  /** What the client was told, and by which way it goes there. */
  readonly endpoint?: Endpoint;
  readonly route?: Route;
  readonly ownership: 'Preserve' | 'Mover';
  /** A client has been given the certificates: no other one gets them. */
  readonly spent?: boolean;
  /** It goes through a repository, as there is no direct way. */
  readonly relay?: RelayMemory;
}

export interface RelayMemory {
  /** Why it does not go directly. */
  readonly why: string;
  /** Pods that were made at the source, and at the destination. */
  readonly backups: number;
  readonly restores: number;
  /** Of the first half, once it is done. */
  readonly saved?: SavedVolume;
  readonly addedBytes?: number;
  readonly notes?: readonly string[];
}

export const noMemory: MoverMemory = { runs: 0, reached: false, tried: [], ownership: 'Preserve' };

export function memoryOf(secret: Secret | undefined): MoverMemory {
  const text = secret?.metadata.annotations?.[annotations.moverMemory];
  try {
    return { ...noMemory, ...(JSON.parse(text ?? '{}') as Partial<MoverMemory>) };
  } catch {
    return noMemory;
  }
}

/** What was there before stays; the files, where given, change with it. */
export async function remember(
  transfer: Transfer,
  memory: MoverMemory,
  files: Readonly<Record<string, string>> = {},
): Promise<void> {
  const notes = { [annotations.moverMemory]: JSON.stringify(memory) };
  await clientAt(transfer, 'client').patch(secrets, keyAt(transfer, 'client'), {
    metadata: { annotations: notes },
    data: encoded(files),
  });
}

export function textIn(secret: Secret | undefined, name: string): string | undefined {
  const value = secret?.data?.[name];
  return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
}

function encoded(files: Readonly<Record<string, string>>): Record<string, string> {
  const all = Object.entries(files);
  return Object.fromEntries(
    all.map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  );
}

export function secretAt(transfer: Transfer, side: SideName): Promise<Secret | undefined> {
  return clientAt(transfer, side).get(secrets, keyAt(transfer, side));
}

/** Undefined: they did not match, so pods that have them must go before others are made. */
export async function matchingSecrets(transfer: Transfer): Promise<Secret | undefined> {
  const [server, client] = [await secretAt(transfer, 'server'), await secretAt(transfer, 'client')];
  const authority = server?.metadata.annotations?.[annotations.moverAuthority];
  const isSame = authority === client?.metadata.annotations?.[annotations.moverAuthority];
  return authority !== undefined && isSame ? client : undefined;
}

/**
 * What is remembered stays. The server's first: a client whose server is missing its Secret is
 * never made.
 */
export async function makeSecrets(transfer: Transfer, work: MoverWork): Promise<void> {
  const { movers } = transfer.context.ports;
  const certificates = movers.certificates(serverNameOf(transfer));
  const notes = { [annotations.moverAuthority]: authorityOf(certificates) };
  const known = memoryOf(await secretAt(transfer, 'client'));
  const memory = { [annotations.moverMemory]: JSON.stringify({ ...known, spent: false }) };
  const server = { ...certificates.server, ...work.serverFiles(transfer) };
  await putSecret(transfer, 'server', { files: server, notes });
  await putSecret(transfer, 'client', {
    files: { ...certificates.client },
    notes: { ...notes, ...memory },
  });
}

export async function putSecret(
  transfer: Transfer,
  side: SideName,
  content: {
    readonly files: Readonly<Record<string, string>>;
    readonly notes: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const client = clientAt(transfer, side);
  const key = keyAt(transfer, side);
  const { files, notes } = content;
  const metadata = { ...key, labels: labelsOf(transfer, side), annotations: notes };
  const made = { metadata, type: 'Opaque', data: encoded(files) };
  try {
    await client.create<Secret>(secrets, made);
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    await client.patch(secrets, key, { metadata: { annotations: notes }, data: made.data });
  }
}

export async function removeSecrets(transfer: Transfer): Promise<void> {
  for (const side of ['client', 'server'] as const) {
    const key: ObjectKey = keyAt(transfer, side);
    await clientAt(transfer, side).delete(secrets, key);
  }
}
