/**
 * The end of namespaces: everything in them is deleted, whatever kind it is, then the namespace
 * itself is let go (Kubernetes documentation, "Namespaces"; the `finalize` sub-resource).
 */
import { formatSecond } from '../../../base/units.ts';
import { TransshipError } from '../../../base/errors.ts';
import type { KubeClient, Outcome } from '../../../kube/api.ts';
import { exchange } from '../../../kube/exchange.ts';
import { type ResourceType, keyOf } from '../../../kube/objects.ts';
import { type Reconciler, createReconciler, watching } from '../../../kube/reconciler.ts';
import { type Namespace, namespaces } from '../../../kube/resources.ts';
import { isDeleted } from '../controller.ts';
import { type Discovered, discover } from '../discovery.ts';
import { listAll } from '../informers.ts';
import type { ControllerHost } from '../run-controller.ts';

/** Between two looks at what is still there. */
const lookAgainMs = 500;
const finalizer = 'kubernetes';

export function runNamespaceEnd(host: ControllerHost): Reconciler {
  const { client, informers, metrics, log } = host;
  return createReconciler({
    name: 'namespace-end',
    client,
    sources: [watching(informers.of(namespaces))],
    concurrency: 2,
    metrics,
    log,
    reconcile: (name) => endNamespace(client, name),
  });
}

async function endNamespace(client: KubeClient, name: string): Promise<Outcome> {
  const namespace = await client.get(namespaces, { namespace: '', name });
  if (namespace === undefined || !isDeleted(namespace)) return {};
  if (!namespace.spec?.finalizers?.includes(finalizer)) return {};
  const left = await empty(client, name);
  if (left.length > 0) {
    await report(client, namespace, left);
    return { againAfterMs: lookAgainMs };
  }
  await finalize(client, namespace);
  // Until it is gone.
  return { againAfterMs: lookAgainMs };
}

/** Asks for the end of everything inside; says what was still there, by resource. */
async function empty(client: KubeClient, namespace: string): Promise<readonly string[]> {
  const left: string[] = [];
  for (const { type } of (await discover(client)).filter(holdsContent)) {
    let count = 0;
    for (const object of await listed(client, type, namespace)) {
      count += 1;
      if (isDeleted(object)) continue;
      const { uid } = object.metadata;
      const incarnation = uid === undefined ? {} : { uid };
      await client.delete(type, keyOf(object), { ...incarnation, propagation: 'Background' });
    }
    if (count > 0)
      left.push(`${type.plural}${type.group === '' ? '' : `.${type.group}`} (${count})`);
  }
  return left;
}

function holdsContent({ type, verbs }: Discovered): boolean {
  return type.namespaced && verbs.has('list') && verbs.has('delete');
}

async function listed(client: KubeClient, type: ResourceType, namespace: string) {
  try {
    return await listAll(client, type, { namespace });
  } catch (error) {
    // A definition that was removed since the discovery.
    if (error instanceof TransshipError && error.reason === 'NotFound') return [];
    throw error;
  }
}

async function report(
  client: KubeClient,
  namespace: Namespace,
  left: readonly string[],
): Promise<void> {
  const condition = {
    type: 'NamespaceContentRemaining',
    status: 'True',
    reason: 'SomeResourcesRemain',
    message: `Some resources are remaining: ${left.join(', ')}`,
    lastTransitionTime: formatSecond(client.connection.clock.wallMs()),
  };
  const before = namespace.status as
    | { readonly conditions?: readonly { message?: string }[] }
    | undefined;
  if (before?.conditions?.some((one) => one.message === condition.message)) return;
  await client.patchStatus(namespaces, keyOf(namespace), { status: { conditions: [condition] } });
}

async function finalize(client: KubeClient, namespace: Namespace): Promise<void> {
  const { name = '' } = namespace.metadata;
  const finalizers = namespace.spec?.finalizers?.filter((one) => one !== finalizer) ?? [];
  await exchange(client.connection, {
    asked: {
      cluster: client.cluster,
      verb: 'update',
      resource: 'namespaces/finalize',
      name,
      namespace: '',
    },
    method: 'PUT',
    path: `/api/v1/namespaces/${name}/finalize`,
    body: { ...namespace, spec: { ...namespace.spec, finalizers } },
  });
}
