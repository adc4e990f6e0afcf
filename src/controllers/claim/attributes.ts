/**
 * `spec.volumeAttributesClassName` of a claim on a volume of ours: what the class asks for is done
 * to the living volume, and the claim's status says how far it is, in the words of Kubernetes
 * (KEP-3751): Pending without a class, Infeasible when it asks for what cannot be, else InProgress.
 */
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import type { KubeClient, Outcome } from '../../kube/api.ts';
import { keyOf } from '../../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  type VolumeAttributesClass,
  volumeAttributesClasses,
} from '../../kube/resources.ts';
import type { Context } from '../context.ts';
import { driver } from '../labels.ts';
import { Room } from '../pool/moves.ts';
import { type Modification, modificationOf, stepTowards } from './modification.ts';

/** A class or a policy is made, a node comes: nothing of that is watched for a claim. */
const againMs = 15_000;

/** A claim, and what it is bound to. */
export interface BoundClaim {
  readonly claim: PersistentVolumeClaim;
  readonly bound: PersistentVolume;
  readonly volume: Volume;
}

/** Empty: none is asked for, and what the volume has stays. */
export function attributesClassOf(claim: PersistentVolumeClaim): string {
  return claim.spec?.volumeAttributesClassName ?? '';
}

/** `NotFound` for no such class; `BadArgument` for one that asks for what cannot be. */
export async function attributesOf(
  { client, informers }: Pick<Context, 'client' | 'informers'>,
  name: string,
): Promise<{ readonly wanted: Modification; readonly parameters: Record<string, string> }> {
  const found = await findClass(client, name);
  if (found === undefined) fail('NotFound', `there is no VolumeAttributesClass ${name}`);
  if (found.driverName !== driver) {
    fail('BadArgument', `VolumeAttributesClass ${name} is for volumes of ${found.driverName}`);
  }
  const parameters = { ...found.parameters };
  const wanted = modificationOf(parameters);
  const { historyPolicy = 'none' } = wanted;
  if (historyPolicy !== 'none' && !hasPolicy(informers, historyPolicy)) {
    fail('BadArgument', `there is no history policy ${historyPolicy}`);
  }
  return { wanted, parameters };
}

function hasPolicy(informers: Context['informers'], name: string): boolean {
  return informers.policies.get({ namespace: '', name }) !== undefined;
}

/** Before Kubernetes 1.34. */
const beta = { ...volumeAttributesClasses, version: 'v1beta1' };

/** Of the version that the cluster has: 1.34 and later, or the beta from 1.31 on. */
async function findClass(
  client: KubeClient,
  name: string,
): Promise<VolumeAttributesClass | undefined> {
  const key = { namespace: '', name };
  return (await client.get(volumeAttributesClasses, key)) ?? (await client.get(beta, key));
}

/** One step on the way to what the class asks for; called again whenever something changed. */
export async function modifyBound(context: Context, all: BoundClaim): Promise<Outcome> {
  const { claim, volume } = all;
  const name = attributesClassOf(claim);
  const { currentVolumeAttributesClassName: current, modifyVolumeStatus } = claim.status ?? {};
  if (claim.status?.phase !== 'Bound') return {};
  if (name === '' || name === current) {
    if (modifyVolumeStatus !== undefined) await patchClaim(context, claim, {});
    return {};
  }
  try {
    const { wanted } = await attributesOf(context, name);
    const { informers } = context;
    const room = () => new Room(informers.pools.list(), informers.volumes.list());
    const step = stepTowards(volume, wanted, room);
    if (step.do === 'nothing') return await finish(context, all, name);
    await show(context, claim, { name, status: 'InProgress' });
    if (step.do === 'patch') {
      const { uid, resourceVersion } = volume.metadata;
      const metadata = { uid, resourceVersion };
      await context.client.patch(volumes, keyOf(volume), { metadata, spec: step.spec });
    }
    return { againAfterMs: againMs };
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    const status = whyNot[reason];
    if (status === undefined) throw error;
    await show(context, claim, { name, status, note: `${reason}: ${message}` });
    return { againAfterMs: againMs };
  }
}

type ModifyStatus = 'Pending' | 'InProgress' | 'Infeasible';

const whyNot: Readonly<Partial<Record<string, ModifyStatus>>> = {
  NotFound: 'Pending',
  BadArgument: 'Infeasible',
  LimitExceeded: 'InProgress',
};

async function finish(
  context: Context,
  { claim, bound }: BoundClaim,
  name: string,
): Promise<Outcome> {
  if (bound.spec?.volumeAttributesClassName !== name) {
    const spec = { volumeAttributesClassName: name };
    await context.client.patch(persistentVolumes, keyOf(bound), { spec });
  }
  await patchClaim(context, claim, { currentVolumeAttributesClassName: name });
  const note = `the volume is as VolumeAttributesClass ${name} asks for`;
  tell(context, claim, { type: 'Normal', reason: 'VolumeModifySuccessful', note });
  return {};
}

/** Told once, and again when the reason is another. */
async function show(
  context: Context,
  claim: PersistentVolumeClaim,
  now: { readonly name: string; readonly status: ModifyStatus; readonly note?: string },
): Promise<void> {
  const { name, status, note } = now;
  if (note !== undefined)
    tell(context, claim, { type: 'Warning', reason: 'VolumeModifyFailed', note });
  const shown = claim.status?.modifyVolumeStatus;
  if (shown?.status === status && shown.targetVolumeAttributesClassName === name) return;
  const modifyVolumeStatus = { targetVolumeAttributesClassName: name, status };
  await context.client.patchStatus(persistentVolumeClaims, keyOf(claim), {
    status: { modifyVolumeStatus },
  });
}

/** Nothing is under way any more. */
async function patchClaim(
  context: Context,
  claim: PersistentVolumeClaim,
  status: { readonly currentVolumeAttributesClassName?: string },
): Promise<void> {
  await context.client.patchStatus(persistentVolumeClaims, keyOf(claim), {
    status: { ...status, modifyVolumeStatus: null },
  });
}

function tell(
  context: Context,
  regarding: PersistentVolumeClaim,
  what: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly note: string },
): void {
  context.ports.events.record({ regarding, action: 'Modifying', ...what });
}
