/** The namespace that moves, the clusters it moves between, and how a person sees them. */
import { clusters } from '../../src/api/kinds/cluster.ts';
import { hooks } from '../../src/api/kinds/hook.ts';
import type { PlanSpec } from '../../src/api/kinds/plan.ts';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import { driver } from '../../src/controllers/labels.ts';
import { applyObjects } from '../../src/controllers/install.ts';
import { systemNamespace } from '../../src/controllers/installation.ts';
import { directoryClass } from '../../src/embedded/runtime/storage/directory-class.ts';
import { cronJobs } from '../../src/kube/jobs.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { configMaps, namespaces, secrets, storageClasses } from '../../src/kube/resources.ts';
import { deployments, pods, statefulSets } from '../../src/kube/workloads.ts';
import { agentAddress } from './move-engine.ts';
import type { MoveSide, MoveWorld, SideName } from './move-world.ts';

export const shop = 'shop';
export const hub = 'default';
/** Of the image that its Deployment runs. */
export const webImage = { repository: 'shop/web', tag: '1' } as const;
export const hookNames = { Source: 'note-here', Destination: 'note-there' } as const;

/** One hook of each phase. */
export const allHooks: NonNullable<PlanSpec['hooks']> = [
  { hook: hookNames.Source, phase: 'PreBackup' },
  { hook: hookNames.Source, phase: 'PostBackup' },
  { hook: hookNames.Destination, phase: 'PreRestore' },
  { hook: hookNames.Destination, phase: 'PostRestore' },
];

function template(app: string, container: object, more: object = {}): object {
  return {
    metadata: { labels: { app } },
    spec: {
      terminationGracePeriodSeconds: 3,
      automountServiceAccountToken: false,
      containers: [{ name: 'main', image: 'host', command: ['work'], ...container }],
      ...more,
    },
  };
}

/** Kinds, classes, and the clusters' objects at the hub. */
export async function setUp(world: MoveWorld, { name, admin }: MoveSide): Promise<void> {
  const definitions = kinds.map((kind) => crdOf(kind) as unknown as KubeObject);
  await applyObjects(admin, definitions);
  const isOurs = world.engine !== undefined;
  const own = isOurs ? { provisioner: driver, volumeBindingMode: 'Immediate' } : {};
  const plain = { ...directoryClass(), metadata: { name: 'plain' }, ...own };
  for (const one of [directoryClass(), plain]) await admin.create(storageClasses, one as never);
  await admin.create(namespaces, { metadata: { name: systemNamespace } });
  const agents = isOurs ? [{ name, address: agentAddress(name) }] : [];
  if (name !== 'east') {
    const local = { metadata: { name }, spec: { local: true, agents } };
    if (isOurs) await admin.create(clusters, local as never);
    return;
  }
  const registry = (side: string) => ({ registry: { host: `registry.${side}` } });
  const spec = { local: true, agents, ...registry(name) };
  await admin.create(clusters, { metadata: { name }, spec } as never);
  const place = { namespace: systemNamespace, name: 'west', key: 'kubeconfig' };
  await admin.create(secrets, {
    metadata: { namespace: systemNamespace, name: 'west' },
    data: { kubeconfig: Buffer.from('west').toString('base64') },
  });
  const there = { kubeconfigSecretRef: place, ...registry('west') };
  await admin.create(clusters, { metadata: { name: 'west' }, spec: there } as never);
  for (const target of ['Source', 'Destination'] as const) {
    await admin.create(hooks, {
      metadata: { namespace: hub, name: hookNames[target] },
      spec: { command: ['hook'], target, namespace: shop },
    } as never);
  }
  world.scheduler.note('the hub is set up');
}

/** Workloads of all sorts, of which one writes. */
export async function openShop({ admin, name, registry }: MoveSide): Promise<void> {
  await admin.create(namespaces, { metadata: { name: shop } });
  const named = (own: string, rest: object) =>
    ({ metadata: { namespace: shop, name: own }, ...rest }) as never;
  const selector = (app: string) => ({ selector: { matchLabels: { app } } });
  const data = {
    metadata: { name: 'data' },
    spec: {
      storageClassName: 'plain',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '64Mi' } },
    },
  };
  const mounted = { volumeMounts: [{ name: 'data', mountPath: '/data' }] };
  await admin.create(configMaps, named('settings', { data: { greeting: 'hello' } }));
  await admin.create(
    statefulSets,
    named('db', {
      spec: {
        replicas: 1,
        serviceName: 'db',
        ...selector('db'),
        volumeClaimTemplates: [data],
        template: template('db', mounted),
      },
    }),
  );
  const { repository, tag } = webImage;
  registry.push(repository, tag, 'the web of the shop');
  const image = `registry.${name}/${repository}:${tag}`;
  const web = { replicas: 2, ...selector('web'), template: template('web', { image }) };
  await admin.create(deployments, named('web', { spec: web }));
  const once = template('nightly', { command: ['once'] }, { restartPolicy: 'Never' });
  const spec = { schedule: '*/2 * * * *', jobTemplate: { spec: { template: once } } };
  await admin.create(cronJobs, named('nightly', { spec }));
  const lone = template('lone', {}) as { metadata: object; spec: object };
  const metadata = { namespace: shop, name: 'lone', ...lone.metadata };
  await admin.create(pods, { metadata, spec: lone.spec } as never);
}

export function isOpen(world: MoveWorld, side: SideName): boolean {
  const { data } = world;
  return data.running('db', side) === 1 && data.running('web', side) === 2;
}

/** Objects with what a migration could have changed in them; helpers included. */
export function pictureOf({ api }: MoveSide): ReadonlyMap<string, string> {
  const lines = new Map<string, string>();
  for (const object of api.objects.values()) {
    const text = lineOf(object);
    if (text !== undefined) lines.set(nameOf(object), text);
  }
  return lines;
}

function nameOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
}

interface Any extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly suspend?: boolean;
    readonly persistentVolumeReclaimPolicy?: string;
    readonly volumeName?: string;
    readonly template?: { readonly spec?: { readonly nodeSelector?: object } };
  };
  readonly secrets?: unknown;
}

/** Undefined: it comes and goes without anybody's doing. */
function lineOf(object: Any): string | undefined {
  const { kind, metadata, spec = {} } = object;
  const notes = Object.entries(metadata.annotations ?? {})
    .filter(([name]) => name.startsWith('transship.dev/'))
    .map(([name, value]) => `${name}=${value}`);
  // What a migration has for itself goes with it.
  if (metadata.ownerReferences?.some((one) => one.kind === 'Migration') === true) return undefined;
  const marks = JSON.stringify([notes.toSorted(), metadata.deletionTimestamp !== undefined]);
  switch (kind) {
    case 'Deployment':
    case 'StatefulSet':
      return `${spec.replicas} ${JSON.stringify(spec.template?.spec?.nodeSelector)} ${marks}`;
    case 'CronJob':
      return `suspend ${spec.suspend === true} ${marks}`;
    case 'PersistentVolume':
      return `${spec.persistentVolumeReclaimPolicy} ${marks}`;
    case 'PersistentVolumeClaim':
      return `${spec.volumeName} ${marks}`;
    case 'ResourceQuota':
    case 'Secret':
    case 'ConfigMap':
    case 'Service':
    case 'Namespace':
      return marks;
    case 'Pod':
      return metadata.ownerReferences === undefined ? marks : undefined;
    default:
      return undefined;
  }
}

/** What is there and was not, is not and was, or is different. */
export function differences(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): readonly string[] {
  const all = new Set([...before.keys(), ...now.keys()]);
  return [...all].flatMap((name) => {
    const [old, current] = [before.get(name), now.get(name)];
    if (old === current) return [];
    return [`${name}: ${current ?? 'gone'} instead of ${old ?? 'nothing'}`];
  });
}
