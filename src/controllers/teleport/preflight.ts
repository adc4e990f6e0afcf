/**
 * What has to hold before a teleport changes anything, at both sides. What is not there yet may be
 * on its way (files applied together), so it is waited for, but not for ever.
 */
import type { Teleport } from '../../api/kinds/teleport.ts';
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import { fail, TransshipError } from '../../base/errors.ts';
import { driver, labels } from '../labels.ts';
import {
  namespaces,
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import { handleOf, isOurVolume } from '../claim/made.ts';
import { type ClusterAccess, isSynced, troubleOf } from '../remotes/access.ts';
import { type ClaimTemplate, type Side, sidesOf, templateOf, volumeNameOf } from './plan.ts';

export interface Reach {
  /** Undefined: its agents are known, its API is not. Its volumes can be had, its claims cannot. */
  readonly source: ClusterAccess | undefined;
  readonly destination: ClusterAccess;
}

export interface Plan {
  readonly sourceVolume: string;
  /** The Volume at the source; undefined where its API is not known. */
  readonly source: Volume | undefined;
  /** Undefined: no claim is made. */
  readonly template: ClaimTemplate | undefined;
  readonly historyPolicy: string | undefined;
}

/** A thing that is not there, and may come. */
export class NotYet extends TransshipError {}

function notYet(message: string): never {
  throw new NotYet('NotFound', message);
}

/** Nothing is known of a cluster yet: right after a start that says nothing. */
export class Unsettled extends TransshipError {}

/** The API of a cluster that answers, or `ApiUnreachable` naming it. */
export function reach(access: ClusterAccess | undefined, cluster: string): ClusterAccess {
  const what = `cluster ${cluster} cannot be reached`;
  if (access === undefined) throw new Unsettled('ApiUnreachable', `${what} now`);
  const trouble = troubleOf(access);
  // What was seen before the trouble is as good as it was; the first request will tell.
  if (isSynced(access)) return access;
  if (trouble !== undefined) fail('ApiUnreachable', `${what}: ${trouble.message}`);
  throw new Unsettled('ApiUnreachable', `${what}: it has not answered yet`);
}

/** `NotYet` for what may come; any other error is final, unless it is retryable. */
export async function preflight(teleport: Teleport, { source, destination }: Reach): Promise<Plan> {
  const sides = sidesOf(teleport);
  if (sides.source.claim === undefined) {
    const { volume: sourceVolume = '', cluster } = sides.source;
    const volume = source && (await volumeOf(source, sourceVolume, cluster));
    await checkVolumeFree(teleport, destination);
    const { historyPolicy } = teleport.spec.destination;
    checkPolicy(destination, historyPolicy);
    return { sourceVolume, source: volume, template: undefined, historyPolicy };
  }
  if (source === undefined) {
    const what = `the API of cluster ${sides.source.cluster} is not known`;
    const message = `${what}: give its Cluster a spec.kubeconfigSecretRef, or teleport the volume`;
    throw new NotYet('CredentialsMissing', message);
  }
  const { claim, bound } = await boundClaim(source, sides.source);
  const volume = await volumeOf(source, handleOf(bound), sides.source.cluster);
  const template = await checkDestination(teleport, { source, destination }, claim);
  const theirs = destination.classes.get({ namespace: '', name: template.storageClass });
  const historyPolicy =
    teleport.spec.destination.historyPolicy ?? theirs?.parameters?.['historyPolicy'];
  checkPolicy(destination, historyPolicy);
  const sourceVolume = volume.metadata.name ?? '';
  return { sourceVolume, source: volume, template, historyPolicy };
}

async function boundClaim(
  { client }: ClusterAccess,
  { cluster, namespace, claim: name = '' }: Side,
): Promise<{ readonly claim: PersistentVolumeClaim; readonly bound: PersistentVolume }> {
  const what = `claim ${namespace}/${name} of cluster ${cluster}`;
  const claim = await client.get(persistentVolumeClaims, { namespace, name });
  if (claim === undefined) notYet(`there is no ${what}`);
  const volumeName = claim.spec?.volumeName ?? '';
  if (volumeName === '') notYet(`${what} is not bound yet`);
  const bound = await client.get(persistentVolumes, { namespace: '', name: volumeName });
  if (bound === undefined) notYet(`the PersistentVolume ${volumeName} of ${what} is not there`);
  const storage = bound.spec?.csi?.driver ?? 'other storage';
  if (!isOurVolume(bound)) {
    fail('Unsupported', `${what} is on ${storage}; other storage than ours is moved by plans`);
  }
  return { claim, bound };
}

async function volumeOf({ client }: ClusterAccess, name: string, cluster: string): Promise<Volume> {
  const volume = await client.get(volumes, { namespace: '', name });
  if (volume === undefined) notYet(`there is no volume ${name} in cluster ${cluster}`);
  if (volume.metadata.deletionTimestamp !== undefined) {
    fail('NotFound', `volume ${name} of cluster ${cluster} is being deleted`);
  }
  return volume;
}

async function checkVolumeFree(teleport: Teleport, destination: ClusterAccess): Promise<void> {
  const name = volumeNameOf(teleport);
  const found = await destination.client.get(volumes, { namespace: '', name });
  if (found === undefined) return;
  if (found.metadata.labels?.[labels.teleport] === teleport.metadata.uid) return;
  fail('AlreadyExists', `cluster ${destination.name} has a volume ${name} already`);
}

interface BothReached extends Reach {
  readonly source: ClusterAccess;
}

async function checkDestination(
  teleport: Teleport,
  { source, destination }: BothReached,
  claim: PersistentVolumeClaim,
): Promise<ClaimTemplate> {
  const { cluster, namespace, claim: name = '' } = sidesOf(teleport).destination;
  const { client } = destination;
  if ((await client.get(namespaces, { namespace: '', name: namespace })) === undefined) {
    notYet(`cluster ${cluster} has no namespace ${namespace}`);
  }
  const taken = await client.get(persistentVolumeClaims, { namespace, name });
  if (taken !== undefined && taken.metadata.labels?.[labels.teleport] !== teleport.metadata.uid) {
    fail('AlreadyExists', `cluster ${cluster} has a claim ${namespace}/${name} already`);
  }
  const chosen = teleport.spec.destination.storageClass;
  const storageClass = chosen ?? claim.spec?.storageClassName ?? '';
  checkClass({ source, destination }, storageClass, chosen !== undefined);
  return templateOf(claim, storageClass);
}

/** The class of the same name has to mean the same, unless another one was chosen (I-9). */
function checkClass({ source, destination }: BothReached, name: string, isChosen: boolean): void {
  const cluster = destination.name;
  const theirs = destination.classes.get({ namespace: '', name });
  if (theirs === undefined) notYet(`cluster ${cluster} has no storage class ${name}`);
  if (theirs.provisioner !== driver) {
    const what = `storage class ${name} of cluster ${cluster} is of ${theirs.provisioner}`;
    fail('ClassMismatch', `${what}; choose one of ${driver} with spec.destination.storageClass`);
  }
  if (isChosen) return;
  const ours = source.classes.get({ namespace: '', name });
  if (ours === undefined || sameParameters(ours.parameters, theirs.parameters)) return;
  fail(
    'ClassMismatch',
    `storage class ${name} has other parameters in cluster ${cluster} ` +
      `(${shown(theirs.parameters)}) than in ${source.name} (${shown(ours.parameters)}); ` +
      'name the one you want in spec.destination.storageClass',
  );
}

type Parameters = Readonly<Record<string, string>> | undefined;

function sameParameters(a: Parameters, b: Parameters): boolean {
  return shown(a) === shown(b);
}

function shown(parameters: Parameters): string {
  const pairs = Object.entries(parameters ?? {}).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? 'none' : pairs.toSorted().join(', ');
}

function checkPolicy(destination: ClusterAccess, name: string | undefined): void {
  if (name === undefined) return;
  if (destination.policies.get({ namespace: '', name }) !== undefined) return;
  notYet(`cluster ${destination.name} has no history policy ${name}`);
}
