/** The checks of backups and of what is restored: few, because nothing there is corrected. */
import type { Replication } from '../../../api/kinds/replication.ts';
import { clustersOf, shapeOf } from '../../../api/replication-ends.ts';
import { createDiscovery } from '../../../kube/discovery.ts';
import { keyOf, keyText } from '../../../kube/objects.ts';
import { namespaces, persistentVolumeClaims } from '../../../kube/resources.ts';
import { takeInventory } from '../../../workload/inventory.ts';
import { servesKind } from '../../../workload/workload.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { driverOf } from '../../../workload/needs.ts';
import type { Context } from '../../context.ts';
import { conditionOf } from '../../status.ts';
import { sentences } from '../../plan/checks/check.ts';
import type { ClusterAccess } from '../../remotes/access.ts';
import { reach } from '../../teleport/preflight.ts';
import { hasVolumes } from '../as-plan.ts';
import type { CheckResult } from '../checks/check.ts';
import type { BackupHead } from './content.ts';
import { classFor } from './restored.ts';
import { BackupStore } from './store.ts';
import { claimsOf, hasOurVolume } from './versions.ts';

interface Asked {
  readonly context: Context;
  readonly replication: Replication;
  readonly access: ClusterAccess;
}

interface Judged extends Asked {
  /** Of what is restored, when it was found. */
  readonly head: BackupHead | undefined;
}

interface Check {
  /** The same in all versions. */
  readonly name: string;
  readonly remedy: string;
  /** One sentence for each thing that is wrong. */
  readonly find: (judged: Judged) => Promise<readonly string[]>;
}

const repositoryReady: Check = {
  name: 'RepositoryNotReady',
  remedy: 'See `transship repository check`, and correct what it names.',
  find: async ({ context, replication: { spec } }) => {
    const name = spec.repository ?? '';
    const repository = context.informers.repositories.get({ namespace: '', name });
    if (repository === undefined) return [`there is no Repository ${name}`];
    const ready = conditionOf(repository, 'Ready');
    if (ready?.status === 'False') return [`Repository ${name}: ${ready.message}`];
    // That none answers is nothing that somebody has to decide about: it is waited for.
    context.agents.anyUsable();
    return [];
  },
};

const namespaceThere: Check = {
  name: 'NamespaceNotFoundAtSource',
  remedy: 'Make a replication of namespaces that are there.',
  find: async ({ access, replication: { spec } }) => {
    const missing: string[] = [];
    for (const { name } of spec.namespaces) {
      const found = await access.client.get(namespaces, { namespace: '', name });
      if (found === undefined) missing.push(`cluster ${access.name} has no namespace ${name}`);
    }
    return missing;
  },
};

const volumesOfOurs: Check = {
  name: 'VolumesNotSaved',
  remedy:
    'Convert them to a class of Transship with a plan of type StorageConversion, set ' +
    'spec.volumes to Exclude, or proceed: their claims are then in the backup, without data.',
  find: async ({ access, replication }) => {
    if (!hasVolumes(replication)) return [];
    const names = replication.spec.namespaces.map(({ name }) => name);
    const all = await claimsOf(access.client, names);
    return all.flatMap((one) => {
      if (one.volume === undefined || hasOurVolume(one)) return [];
      const claim = keyText(keyOf(one.claim));
      return [`claim ${claim} is on ${driverOf(one.volume)}, whose volumes cannot be saved`];
    });
  },
};

const kindsSeen: Check = {
  name: 'KindsNotReadable',
  remedy: 'Give the controllers the right to list these kinds, or proceed without them.',
  find: async ({ access: { client }, replication: { spec } }) => {
    const served = await createDiscovery(client).resources();
    const names = spec.namespaces.map(({ name }) => name);
    const { unreadable } = await takeInventory(client, { namespaces: names, served });
    return unreadable.map(({ message }) => message);
  },
};

const backupThere: Check = {
  name: 'BackupNotFound',
  remedy: 'Name a backup that has these namespaces; `transship replicate show` of who made it.',
  find: async ({ head, replication: { spec } }) => {
    if (head !== undefined) return [];
    const names = spec.namespaces.map(({ name }) => name).join(', ');
    const what = spec.version === undefined ? 'no backup' : `no backup ${spec.version}`;
    return [`Repository ${spec.repository} has ${what} with ${names}`];
  },
};

const engineThere: Check = {
  name: 'EngineNotInstalled',
  remedy: 'Install the storage of Transship in that cluster, or set spec.volumes to Exclude.',
  find: async ({ head, access, replication }) => {
    const isAsked = hasVolumes(replication) && (head?.volumes.length ?? 0) > 0;
    if (!isAsked || classFor(access, undefined) !== undefined) return [];
    return [`cluster ${access.name} has no storage class of Transship`];
  },
};

const claimsFree: Check = {
  name: 'ExistingClaims',
  remedy: 'Delete these claims, give the namespace another name with `to`, or proceed: they stay.',
  find: async ({ head, access: { client }, replication: { metadata, spec } }) => {
    const taken: string[] = [];
    for (const { namespace: from, claim: name } of head?.volumes ?? []) {
      const pair = spec.namespaces.find((one) => one.name === from);
      if (pair === undefined) continue;
      const key = { namespace: pair.to ?? from, name };
      const found = await client.get(persistentVolumeClaims, key);
      if (found === undefined) continue;
      if (found.metadata.annotations?.[preparedFor] === metadata.uid) continue;
      taken.push(`claim ${keyText(key)} is there already`);
    }
    return taken;
  },
};

const kindsServed: Check = {
  name: 'KindsNotServed',
  remedy: 'Install what serves these kinds in that cluster, or proceed without them.',
  find: async ({ context, head, access: { client }, replication: { spec } }) => {
    if (head === undefined) return [];
    const store = await BackupStore.open(context, spec.repository ?? '');
    const serves = servesKind(await createDiscovery(client).resources());
    const wanted = new Set(spec.namespaces.map(({ name }) => name));
    const missing = new Map<string, string>();
    for (const { object } of await store.read(head)) {
      const { apiVersion, kind, metadata } = object;
      if (!wanted.has(metadata.namespace ?? '') || serves(apiVersion, kind)) continue;
      missing.set(`${apiVersion} ${kind}`, `${kind} of ${apiVersion} is not served there`);
    }
    return [...missing.values()];
  },
};

const checks: Readonly<Record<'Backup' | 'Restore', readonly Check[]>> = {
  Backup: [repositoryReady, namespaceThere, kindsSeen, volumesOfOurs],
  Restore: [repositoryReady, backupThere, engineThere, claimsFree, kindsServed],
};

/** Undefined: it is a copy between clusters, which has checks of its own. */
export function pendingBackupChecks({ spec }: Replication): readonly CheckResult[] | undefined {
  const shape = shapeOf(spec);
  if (shape === 'Copy') return undefined;
  return checks[shape].map(({ name }) => ({ name, result: 'Pending' }));
}

export interface BackupFound {
  readonly checks: readonly CheckResult[];
  /** The backup that is restored, once it was found. */
  readonly restored?: string;
}

/** Looks at the cluster and the repository. Errors as `reach`, and as the API server has them. */
export async function checkBackup(
  context: Context,
  replication: Replication,
  shape: 'Backup' | 'Restore',
): Promise<BackupFound> {
  const cluster = clustersOf(replication.spec).source;
  const access = reach(context.remotes.find(cluster), cluster);
  const asked = { context, replication, access };
  const results: CheckResult[] = [];
  let head: BackupHead | undefined;
  for (const check of checks[shape]) {
    const isFirst = results.length === 1;
    if (shape === 'Restore' && isFirst && results[0]?.result === 'Compatible') {
      head = await findBackup(asked);
    }
    results.push(await runOne(check, { ...asked, head }));
  }
  return { checks: results, ...(head === undefined ? {} : { restored: head.name }) };
}

async function runOne({ name, remedy, find }: Check, judged: Judged): Promise<CheckResult> {
  const problems = await find(judged);
  if (problems.length === 0) return { name, result: 'Compatible' };
  return { name, result: 'Incompatible', message: sentences(problems), remedy };
}

/** What was begun with is gone on with: objects and volumes are of one moment. */
async function findBackup({ context, replication }: Asked): Promise<BackupHead | undefined> {
  const { spec, status } = replication;
  const store = await BackupStore.open(context, spec.repository ?? '');
  const wanted = spec.namespaces.map(({ name }) => name);
  const fitting = (await store.list()).filter(({ namespaces: there }) =>
    wanted.every((name) => there.includes(name)),
  );
  const named = spec.version ?? status?.restored;
  if (named === undefined) return fitting.at(-1);
  return fitting.find(({ name }) => name === named);
}
