/** Namespaces of the destination that a migration makes, and takes away while they are empty. */
import { fail, unlessThere } from '../../base/errors.ts';
import { createDiscovery } from '../../kube/discovery.ts';
import { persistentVolumeClaims, type Namespace, namespaces } from '../../kube/resources.ts';
import { takeInventory } from '../../workload/inventory.ts';
import { nameText } from '../../workload/names.ts';
import { preparedFor } from '../../workload/transform-context.ts';
import { annotations } from '../labels.ts';
import { moveId, nameThere, namespacesAt, type Run, uidOf } from './run.ts';

export interface Missing {
  readonly name: string;
  readonly there: string;
  /** One of that name still goes away. */
  readonly isEnding: boolean;
}

export async function missingNamespaces(run: Run): Promise<readonly Missing[]> {
  const missing: Missing[] = [];
  for (const { name } of run.plan.spec.namespaces) {
    const there = nameThere(run, name);
    const found = await run.destination.client.get(namespaces, { namespace: '', name: there });
    const isEnding = found?.metadata.deletionTimestamp !== undefined;
    if (found === undefined || isEnding) missing.push({ name, there, isEnding });
  }
  return missing;
}

/** `NotFound` when the plan forbids to make one. */
export async function makeNamespaces(run: Run): Promise<void> {
  for (const { name, there, isEnding } of await missingNamespaces(run)) {
    if (isEnding) continue;
    const isSandbox = run.migration.spec.type === 'Rehearsal';
    if (run.plan.spec.createNamespaces === false && !isSandbox) {
      fail('NotFound', `cluster ${run.destination.name} has no namespace ${there}; make it first`);
    }
    const here = await run.source.client.get(namespaces, { namespace: '', name });
    if (here === undefined) fail('NotFound', `${run.source.name} has no namespace ${name}`);
    await make(run, here, there);
  }
}

async function make(run: Run, { metadata }: Namespace, name: string): Promise<void> {
  const own = { [preparedFor]: moveId(run), [annotations.madeBy]: uidOf(run.migration) };
  await unlessThere(
    run.destination.client.create<Namespace>(namespaces, {
      metadata: {
        name,
        labels: withoutDerived(metadata.labels),
        annotations: { ...withoutDerived(metadata.annotations), ...own },
      },
    }),
  );
}

/** Set by a cluster for itself: names, ranges of users, tools that apply. */
const derived = [
  /^kubernetes\.io\/metadata\.name$/,
  /^kubectl\.kubernetes\.io\/last-applied-configuration$/,
  /^openshift\.io\/sa\.scc\./,
  /^security\.openshift\.io\//,
  /^field\.cattle\.io\//,
  /^transship\.dev\//,
];

function withoutDerived(
  from: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const kept = Object.entries(from).filter(([name]) => !derived.some((one) => one.test(name)));
  return Object.fromEntries(kept);
}

export interface MadeNamespace {
  readonly name: string;
  readonly uid: string;
  /** Something that is in it, so that it stays; undefined: it is empty. */
  readonly inside: string | undefined;
}

/** Those that this migration made, but for those that go already. */
export async function madeNamespaces(run: Run): Promise<readonly MadeNamespace[]> {
  const made: MadeNamespace[] = [];
  for (const name of namespacesAt(run, 'destination')) {
    const found = await run.destination.client.get(namespaces, { namespace: '', name });
    if (found?.metadata.annotations?.[annotations.madeBy] !== uidOf(run.migration)) continue;
    if (found.metadata.deletionTimestamp !== undefined) continue;
    made.push({ name, uid: uidOf(found), inside: await findInside(run, name) });
  }
  return made;
}

/** Only those in which nothing is. */
export async function removeNamespaces(run: Run): Promise<void> {
  for (const { name, uid, inside } of await madeNamespaces(run)) {
    if (inside !== undefined) continue;
    await run.destination.client.delete(namespaces, { namespace: '', name }, { uid });
  }
}

/** Something that the cluster does not put into every namespace by itself. */
async function findInside({ destination }: Run, namespace: string): Promise<string | undefined> {
  const { client } = destination;
  for await (const claim of client.list(persistentVolumeClaims, { namespace })) {
    return `PersistentVolumeClaim ${claim.metadata.name}`;
  }
  const served = await createDiscovery(client).resources();
  const { items, unreadable } = await takeInventory(client, { namespaces: [namespace], served });
  const [item] = items;
  if (item !== undefined) return nameText(item.name);
  const [hidden] = unreadable;
  return hidden === undefined ? undefined : `${hidden.plural}, which cannot be listed,`;
}
