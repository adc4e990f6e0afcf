/** How what a transfer makes is named and marked, so that it is found again by its maker alone. */
import { createHash } from 'node:crypto';
import { type Migration, migrations } from '../../api/kinds/migration.ts';
import { plans } from '../../api/kinds/plan.ts';
import { replicationKind } from '../../api/kinds/replication.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { keyOf, keyText, type KubeObject } from '../../kube/objects.ts';
import { stripMetadata } from '../../workload/strip-metadata.ts';
import { preparedFor } from '../../workload/transform-context.ts';
import type { Context } from '../context.ts';
import { annotations } from '../labels.ts';

export function uidOf({ metadata }: KubeObject): string {
  return metadata.uid ?? '';
}

/** Of helpers and volumes that one transfer makes one of. */
export function ownNameOf(transfer: VolumeTransfer): string {
  return `vt-${uidOf(transfer)}`;
}

/** The uid of the replication that it is a part of; undefined: it is of none. */
function replicationOf({ metadata }: VolumeTransfer): string | undefined {
  return metadata.ownerReferences?.find(({ kind }) => kind === replicationKind.kind)?.uid;
}

/** Undefined: it stands for itself, is of a replication, or its migration is gone. */
export async function migrationOf(
  { client }: Context,
  transfer: VolumeTransfer,
): Promise<Migration | undefined> {
  const { metadata, spec } = transfer;
  if (spec.migration === undefined || replicationOf(transfer) !== undefined) return undefined;
  return client.get(migrations, { namespace: metadata.namespace ?? '', name: spec.migration });
}

/** What marks everything of one move: the uid of its plan or replication; else its own. */
export async function moveIdOf(context: Context, transfer: VolumeTransfer): Promise<string> {
  const replication = replicationOf(transfer);
  if (replication !== undefined) return replication;
  const migration = await migrationOf(context, transfer);
  if (migration === undefined) return uidOf(transfer);
  const { namespace = '' } = transfer.metadata;
  const plan = await context.client.get(plans, { namespace, name: migration.spec.plan });
  return plan?.metadata.uid ?? uidOf(transfer);
}

interface Staged {
  readonly spec: {
    readonly source: Pick<VolumeTransfer['spec']['source'], 'cluster' | 'namespace' | 'claim'>;
    readonly destination: Pick<VolumeTransfer['spec']['destination'], 'cluster'>;
  };
}

/** The same for all copies of one claim to one cluster. */
export function stageOf({ spec }: Staged): string {
  const { source, destination } = spec;
  const what = `${source.cluster}/${source.namespace}/${source.claim}>${destination.cluster}`;
  return createHash('sha256').update(what).digest('hex').slice(0, 16);
}

const ownPrefix = 'transship.dev/';

/** What the user wrote on a claim, for the claim that takes its place. */
export function inheritedFrom(claim: KubeObject): {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
} {
  const { metadata } = stripMetadata({ object: claim, note: () => undefined });
  const isKept = ([name]: readonly [string, string]): boolean =>
    !name.startsWith(ownPrefix) || name === annotations.historyPolicy;
  const kept = (all: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(Object.entries(all).filter(isKept));
  return { labels: kept(metadata.labels), annotations: kept(metadata.annotations) };
}

/** On claims and PersistentVolumes that it makes. */
export function marksOf(transfer: VolumeTransfer, moveId: string) {
  return {
    [preparedFor]: moveId,
    [annotations.transferred]: uidOf(transfer),
    [annotations.madeFor]: keyText(keyOf(transfer)),
  };
}

export function isMadeBy(transfer: VolumeTransfer, object: KubeObject | undefined): boolean {
  return object?.metadata.annotations?.[annotations.transferred] === uidOf(transfer);
}
