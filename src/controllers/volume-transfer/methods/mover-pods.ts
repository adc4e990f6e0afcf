/** The pods of both sides: made where they can run, and asked why they do not. */
import { asTransshipError } from '../../../base/errors.ts';
import type { KubeClient } from '../../../kube/api.ts';
import { type PodLogOptions, readPodLog } from '../../../kube/pod-log.ts';
import { keyText } from '../../../kube/objects.ts';
import { type Pod, pods } from '../../../kube/workloads.ts';
import { claimsOfPodSpec } from '../../../workload/pod-specs.ts';
import { labels } from '../../labels.ts';
import { uidOf } from '../marks.ts';
import type { Transfer } from '../method.ts';
import {
  claimAt,
  clientAt,
  keyAt,
  type MoverWork,
  type PodPlace,
  type SideName,
} from './mover-job.ts';
import { identityFor, nodesOf, usersOf } from './mover-users.ts';

/** Progress is said every second; the tail holds all that counts. */
const tailLines = 120;

export interface Trouble {
  readonly message: string;
  readonly remedy: string;
}

export function podAt(transfer: Transfer, side: SideName): Promise<Pod | undefined> {
  return clientAt(transfer, side).get(pods, keyAt(transfer, side));
}

export async function deletePod(transfer: Transfer, side: SideName, pod: Pod): Promise<void> {
  if (pod.metadata.deletionTimestamp !== undefined) return;
  const { uid } = pod.metadata;
  const options = uid === undefined ? {} : { uid };
  await clientAt(transfer, side).delete(pods, keyAt(transfer, side), options);
}

/** The last that a pod said; empty when it has printed nothing yet. */
export async function lastLogAt(transfer: Transfer, side: SideName): Promise<string> {
  return logOf(transfer, side, { tailLines });
}

async function logOf(transfer: Transfer, side: SideName, part: PodLogOptions): Promise<string> {
  try {
    const key = keyAt(transfer, side);
    return await readPodLog(clientAt(transfer, side), key, { container: 'mover', ...part });
  } catch (error) {
    const { reason } = asTransshipError(error);
    if (reason === 'Invalid' || reason === 'NotFound' || reason === 'BadArgument') return '';
    throw error;
  }
}

/** Its first words, among which is where it listens. */
export async function serverLogAt(transfer: Transfer): Promise<string> {
  return logOf(transfer, 'server', { limitBytes: 64 * 1024 });
}

/** Where a pod that mounts the claim of this side has to run, and as whom. */
export async function placeFor(
  transfer: Transfer,
  side: SideName,
  { rootBecause }: MoverWork,
): Promise<PodPlace | (Trouble & { readonly image?: undefined })> {
  const client = clientAt(transfer, side);
  const claim = claimAt(transfer, side);
  const users = await usersOf(client, claim);
  const [user] = users;
  const isLast = transfer.object.spec.pass === 'Last';
  if (user !== undefined && (side === 'server' || isLast)) {
    const message = `claim ${keyText(claim)} is used by pod ${user.metadata.name ?? ''}`;
    return { message, remedy: 'Stop what uses it: it goes on by itself then.' };
  }
  const selector = await nodesOf(client, users);
  const tolerations = users.flatMap(({ spec }) => spec?.tolerations ?? []);
  return {
    image: transfer.context.ports.movers.image,
    identity: await identityFor(client, claim.namespace, { users, rootBecause }),
    ...(selector === undefined ? {} : { nodes: selector, tolerations }),
  };
}

/** That there is one is as good; a namespace that is full is waited for. */
export async function makePod(
  transfer: Transfer,
  side: SideName,
  pod: Pod,
): Promise<Trouble | undefined> {
  const client = clientAt(transfer, side);
  const other = side === 'server' ? await otherReceiver(transfer) : undefined;
  if (other !== undefined) return other;
  const refusal = await refusalOf(client, pod);
  if (refusal === undefined) return undefined;
  // A quota on limits lets nothing in that has none; without one, a limit would only be in the way.
  const wantsLimits = /must specify/.test(refusal);
  const last = wantsLimits ? await refusalOf(client, withLimits(pod)) : refusal;
  if (last === undefined) return undefined;
  const remedy = 'Let the quota and the security level of the namespace admit this pod.';
  return { message: `no pod can be made in ${keyAt(transfer, side).namespace}: ${last}`, remedy };
}

/** Of two that write to one claim the later one may be that of the older copy. */
async function otherReceiver(transfer: Transfer): Promise<Trouble | undefined> {
  const { namespace, name } = claimAt(transfer, 'server');
  const selectors = { namespace, labels: `${labels.moverSide}=server` };
  for await (const pod of clientAt(transfer, 'server').list(pods, selectors)) {
    if (pod.metadata.labels?.[labels.transfer] === uidOf(transfer.object) || isOver(pod)) continue;
    if (!claimsOfPodSpec(pod.spec).some(({ claim }) => claim === name)) continue;
    const { name: holder } = pod.metadata;
    const message = `claim ${namespace}/${name} is held by pod ${holder} of another copy`;
    const remedy = 'Wait until it has ended; delete the pod if its copy is gone.';
    return { message, remedy };
  }
  return undefined;
}

/** Why the namespace does not take it. Rejects for everything else. */
async function refusalOf(client: KubeClient, pod: Pod): Promise<string | undefined> {
  try {
    await client.create<Pod>(pods, pod);
    return undefined;
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    if (reason === 'AlreadyExists') return undefined;
    const isAdmission = /exceeded quota|failed quota|PodSecurity|must specify/.test(message);
    if (reason === 'Forbidden' && isAdmission) return message;
    throw error;
  }
}

/** Memory for the names of some million files. */
export function withLimits(pod: Pod): Pod {
  const limits = { cpu: '2', memory: '2Gi' };
  const containers = (pod.spec?.containers ?? []).map((one) => ({
    ...one,
    resources: { ...one.resources, limits },
  }));
  return { ...pod, spec: { ...pod.spec, containers } };
}

/** Why a pod does not run that was made; undefined: it does, or it is on its way. */
export function troubleOf(pod: Pod): Trouble | undefined {
  const name = pod.metadata.name ?? '';
  const placed = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (placed?.status === 'False' && placed.reason === 'Unschedulable') {
    const message = `pod ${name} finds no node: ${placed.message ?? ''}`;
    return { message, remedy: 'Make room on a node that has the volume.' };
  }
  const [container] = pod.status?.containerStatuses ?? [];
  const { reason = '', message = '' } = container?.state?.waiting ?? {};
  if (/Image|Registry/.test(reason)) {
    const remedy = 'Give the controllers TRANSSHIP_IMAGE, an image that this cluster can pull.';
    return { message: `pod ${name} has no image: ${reason} ${message}`.trim(), remedy };
  }
  if (/Error|CrashLoop/.test(reason)) {
    return {
      message: `pod ${name} does not start: ${reason} ${message}`.trim(),
      remedy: `Look at it with kubectl describe pod ${name}.`,
    };
  }
  return undefined;
}

export function isOver(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** How the container ended, for people. */
export function endText(pod: Pod): string {
  const { reason, message } = pod.status ?? {};
  const [container] = pod.status?.containerStatuses ?? [];
  const ended = container?.state?.terminated ?? container?.lastState?.terminated;
  const code = ended === undefined ? '' : ` with exit code ${ended.exitCode}`;
  const why = reason ?? ended?.reason;
  return `the pod ended${code}${why === undefined ? '' : `, ${why}`}${
    message === undefined ? '' : `: ${message}`
  }`;
}
