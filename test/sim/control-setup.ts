/** What every cluster of the world begins with. */
import type { Cluster } from '../../src/api/kinds/cluster.ts';
import { clusters } from '../../src/api/kinds/cluster.ts';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import { applyObjects } from '../../src/controllers/install.ts';
import {
  installationObjects,
  peerObjects,
  systemNamespace,
} from '../../src/controllers/installation.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import {
  namespaces as namespaceType,
  secrets,
  type StorageClass,
  storageClasses,
} from '../../src/kube/resources.ts';
import { secretMark } from './control-commits.ts';
import { addressOf, kubeconfigOf } from './control-process.ts';
import { namespaces } from './control-steps.ts';
import type { ControlWorld, SimCluster } from './control-world.ts';

export async function setUp(world: ControlWorld, cluster: SimCluster): Promise<void> {
  const { admin } = cluster;
  const definitions = kinds.map((kind) => crdOf(kind) as unknown as KubeObject);
  await applyObjects(admin, [
    ...definitions,
    ...installationObjects({ defaultClass: true, migrations: true }),
  ]);
  for (const name of namespaces) await admin.create(namespaceType, { metadata: { name } });
  await admin.create<StorageClass>(storageClasses, {
    metadata: { name: 'other' },
    provisioner: 'transship.dev',
    reclaimPolicy: 'Retain',
    parameters: { blockSize: world.rng.pick(['4Ki', '64Ki']) },
  });
  await admin.create<StorageClass>(storageClasses, {
    metadata: { name: 'foreign' },
    provisioner: 'example.org/disks',
  });
  await describe(world, cluster);
}

/** The cluster itself, and those that it knows. */
async function describe(world: ControlWorld, { name, agent, admin }: SimCluster): Promise<void> {
  const agents = agent === undefined ? [] : [{ name, address: addressOf(name) }];
  await admin.create<Cluster>(clusters, { metadata: { name }, spec: { local: true, agents } });
  for (const other of world.clusters) {
    if (other.name === name) continue;
    await applyObjects(admin, peerObjects(other.name, { migrations: true }));
    const secret = `kubeconfig-${other.name}`;
    const text = kubeconfigOf(other.name, secretMark);
    await admin.create(secrets, {
      metadata: { namespace: systemNamespace, name: secret },
      type: 'Opaque',
      data: { kubeconfig: Buffer.from(text).toString('base64') },
    });
    await admin.create<Cluster>(clusters, {
      metadata: { name: other.name },
      spec: {
        kubeconfigSecretRef: { namespace: systemNamespace, name: secret, key: 'kubeconfig' },
      },
    });
  }
}
