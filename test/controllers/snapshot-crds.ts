// Definitions of the snapshot API, as far as anything here uses it: written for these tests.
import type { KubeClient } from '../../src/kube/api.ts';
import type { ResourceType } from '../../src/kube/objects.ts';
import { customResourceDefinitions } from '../../src/kube/resources.ts';
import {
  snapshotClasses,
  snapshotContents,
  snapshots,
} from '../../src/controllers/volume-transfer/methods/snapshot-api.ts';

const text = { type: 'string' };
const flag = { type: 'boolean' };
const policy = { type: 'string', enum: ['Delete', 'Retain'] };

function object(properties: object, required: readonly string[] = []): object {
  return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) };
}

const snapshotSchema = object(
  {
    spec: object(
      {
        volumeSnapshotClassName: text,
        source: {
          ...object({ persistentVolumeClaimName: text, volumeSnapshotContentName: text }),
          oneOf: [
            { required: ['persistentVolumeClaimName'] },
            { required: ['volumeSnapshotContentName'] },
          ],
        },
      },
      ['source'],
    ),
    status: object({
      boundVolumeSnapshotContentName: text,
      readyToUse: flag,
      restoreSize: text,
      error: object({ message: text }),
    }),
  },
  ['spec'],
);

const contentSchema = object(
  {
    spec: object(
      {
        deletionPolicy: policy,
        driver: text,
        sourceVolumeMode: text,
        source: object({ snapshotHandle: text, volumeHandle: text }),
        volumeSnapshotRef: object({ apiVersion: text, kind: text, namespace: text, name: text }),
      },
      ['deletionPolicy', 'driver', 'source', 'volumeSnapshotRef'],
    ),
    status: object({ snapshotHandle: text, readyToUse: flag }),
  },
  ['spec'],
);

const classSchema = object({ driver: text, deletionPolicy: policy }, ['driver', 'deletionPolicy']);

function definition({ group, version, plural, kind, namespaced }: ResourceType, schema: object) {
  return {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
        },
      ],
    },
  };
}

export async function serveSnapshots(client: KubeClient): Promise<void> {
  const all = [
    definition(snapshots, snapshotSchema),
    definition(snapshotContents, contentSchema),
    definition(snapshotClasses, classSchema),
  ];
  for (const one of all) await client.create(customResourceDefinitions, one as never);
}
