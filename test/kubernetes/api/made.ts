/** Small objects that many cases begin with. */
import type { Doc } from '../document.ts';

export function configMap(name: string, data: Doc = { a: '1' }, metadata: Doc = {}): Doc {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}

export function deployment(name: string, replicas = 0): Doc {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'main', image: 'image:1' }] },
      },
    },
  };
}

export function pod(name: string, metadata: Doc = {}): Doc {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    spec: { containers: [{ name: 'main', image: 'image:1' }] },
  };
}

export function job(name: string): Doc {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    // Suspended, so that no pod comes of it.
    spec: {
      suspend: true,
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'image:1' }] },
      },
    },
  };
}

export function claim(name: string, changes: Doc = {}): Doc {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1Gi' } },
      ...changes,
    },
  };
}

/** A kind with a status and a few typed fields. `schema` replaces the schema of its spec. */
export function widgets(schema: Doc = widgetSpec, version: Doc = {}): Doc {
  return {
    spec: {
      scope: 'Namespaced',
      names: {
        plural: 'widgets',
        singular: 'widget',
        kind: 'Widget',
        listKind: 'WidgetList',
        shortNames: ['wd'],
        categories: ['all', 'gadgets'],
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: schema,
                status: {
                  type: 'object',
                  properties: { ready: { type: 'boolean' }, count: { type: 'integer' } },
                },
              },
            },
          },
          subresources: { status: {} },
          ...version,
        },
      ],
    },
  };
}

const widgetSpec: Doc = {
  type: 'object',
  properties: {
    size: { type: 'integer', minimum: 1, maximum: 10 },
    colour: { type: 'string', enum: ['red', 'green'] },
    note: { type: 'string', default: 'none' },
    parts: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string' }, weight: { type: 'integer', default: 1 } },
      },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
    },
  },
};

export function widget(apiVersion: string, name: string, spec: Doc = { size: 1 }): Doc {
  return { apiVersion, kind: 'Widget', metadata: { name }, spec };
}
