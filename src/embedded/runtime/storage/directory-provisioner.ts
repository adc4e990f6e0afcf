/**
 * Makes directories for claims and takes them back. Every step may be cut and repeated: names come
 * from the claim's uid, the directory is there before its object, and goes before it.
 */
import { TransshipError, asTransshipError } from '../../../base/errors.ts';
import type { Outcome } from '../../../kube/api.ts';
import { type ObjectKey, keyText, parseKey } from '../../../kube/objects.ts';
import { type Reconciler, createReconciler, watching } from '../../../kube/reconciler.ts';
import { storageClasses } from '../../../kube/resources.ts';
import type { View } from '../controller.ts';
import { listAll } from '../informers.ts';
import { pods } from '../kinds/pods.ts';
import { type Claim, type PersistentVolume, claims, persistentVolumes } from '../kinds/storage.ts';
import type { DirectoryVolumes } from '../ports.ts';
import { type ControllerHost, cachedView } from '../run-controller.ts';
import { dataFinalizer, decideFate, decideProvision, volumeNameOf } from './directory-decisions.ts';
import { classOf } from './match.ts';

/** A pod that still sees the data ends without a word to us. */
const lookAgainMs = 500;
const concurrency = 4;

export interface DirectoryHost extends ControllerHost {
  readonly directories: DirectoryVolumes;
  /** Names of the nodes whose directories are on this machine. */
  readonly nodes: readonly string[];
}

export function runDirectoryProvisioner(host: DirectoryHost): readonly Reconciler[] {
  const { client, informers, metrics, log } = host;
  const common = { client, concurrency, metrics, log };
  return [
    createReconciler({
      ...common,
      name: 'directory-provisioner',
      sources: [
        watching(informers.of(claims)),
        watching(informers.of(storageClasses), () =>
          [...informers.of(claims).list()].map((claim) => keyText(keyOfClaim(claim))),
        ),
      ],
      reconcile: (key) => provision(host, parseKey(key)),
    }),
    createReconciler({
      ...common,
      name: 'directory-reclaimer',
      sources: [
        watching(informers.of(persistentVolumes)),
        watching(informers.of(claims), () => []),
        watching(informers.of(pods), () => []),
      ],
      reconcile: (name) => reclaim(host, parseKey(name)),
    }),
  ];
}

const keyOfClaim = ({ metadata }: Claim): ObjectKey => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name ?? '',
});

async function provision(host: DirectoryHost, key: ObjectKey): Promise<Outcome> {
  const { client, informers, events, directories, nodes } = host;
  const seen = informers.of(claims).get(key);
  const className = { namespace: '', name: seen === undefined ? '' : classOf(seen) };
  const storageClass = informers.of(storageClasses).get(className);
  if (decideProvision(seen, storageClass, nodes).do === 'nothing') return {};
  const claim = await client.get(claims, key);
  const plan = decideProvision(claim, storageClass, nodes);
  if (plan.do === 'nothing' || claim === undefined) return {};
  const say = (type: 'Normal' | 'Warning', reason: string, note: string): void =>
    events.record({ regarding: claim, type, reason, note, action: 'Provision' });
  if (plan.do === 'refuse') {
    say('Warning', 'ProvisioningFailed', plan.why);
    return {};
  }
  const { name } = plan.volume;
  const there = await client.get(persistentVolumes, { namespace: '', name });
  if (there !== undefined) return {};
  try {
    const path = await directories.make(plan.volume);
    await createVolume(host, plan.object(path));
  } catch (error) {
    say('Warning', 'ProvisioningFailed', asTransshipError(error).message);
    throw error;
  }
  say('Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${name}`);
  return {};
}

async function createVolume(
  { client }: DirectoryHost,
  draft: Parameters<typeof client.create<PersistentVolume>>[1],
): Promise<void> {
  try {
    await client.create(persistentVolumes, draft);
  } catch (error) {
    // An earlier round made it and was cut before it heard so.
    if (!(error instanceof TransshipError) || error.reason !== 'AlreadyExists') throw error;
  }
}

async function reclaim(host: DirectoryHost, key: ObjectKey): Promise<Outcome> {
  const { client, informers, directories, nodes } = host;
  const seen = informers.of(persistentVolumes).get(key);
  if (seen === undefined) return {};
  if (decideFate(cachedView(host), seen, nodes) === 'nothing') return {};
  const volume = await client.get(persistentVolumes, key);
  if (volume === undefined) return {};
  const fate = decideFate(await freshView(host, volume), volume, nodes);
  const { uid, resourceVersion, finalizers = [] } = volume.metadata;
  switch (fate) {
    case 'nothing':
      return {};
    case 'wait':
      return { againAfterMs: lookAgainMs };
    case 'delete': {
      // This version only: whoever binds the volume again in this moment has it.
      const exactly = resourceVersion === undefined ? {} : { resourceVersion };
      await client.delete(persistentVolumes, key, {
        ...(uid === undefined ? {} : { uid }),
        ...exactly,
      });
      return {};
    }
    case 'erase':
      await directories.remove(key.name);
      break;
    case 'let-go':
      break;
  }
  const rest = finalizers.filter((one) => one !== dataFinalizer);
  await client.patch(persistentVolumes, key, { metadata: { resourceVersion, finalizers: rest } });
  return {};
}

/** The claim and the pods as the server has them now: an old view would cost data. */
async function freshView(host: DirectoryHost, { spec }: PersistentVolume): Promise<View> {
  const { client } = host;
  const { namespace = '', name = '' } = spec.claimRef ?? {};
  const claim = name === '' ? undefined : await client.get(claims, { namespace, name });
  const all = namespace === '' ? [] : await listAll(client, pods, { namespace });
  const cached = cachedView(host);
  return {
    nowMs: cached.nowMs,
    get: (type, key) => (type.plural === claims.plural ? claim : cached.get(type, key)) as never,
    list: (type, one) => (type.plural === pods.plural ? (all as never) : cached.list(type, one)),
  };
}

/**
 * Takes away what a crash left between a directory and its object, when the claim went meanwhile.
 * Only what is still empty: data of a class with Retain has lost its object on purpose.
 */
export async function sweepDirectories(host: DirectoryHost): Promise<void> {
  const { client, directories, log } = host;
  const names = await directories.names();
  if (names.length === 0) return;
  const wanted = new Set<string>();
  for (const { metadata } of await listAll(client, claims, {})) {
    wanted.add(volumeNameOf(metadata.uid ?? ''));
  }
  for (const { metadata } of await listAll(client, persistentVolumes, {})) {
    wanted.add(metadata.name ?? '');
  }
  for (const name of names) {
    if (wanted.has(name)) continue;
    if (await directories.removeUnused(name))
      log.log('info', 'removed an unused directory', { name });
  }
}
