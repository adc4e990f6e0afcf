import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject, ServedResource } from './api.ts';
import { isArray, isObject } from './json.ts';
import { createSchemaLibrary } from './library.ts';

const library = createSchemaLibrary();
const builtIns = library.builtIns();

function kindOf(kind: string): ServedResource {
  const found = builtIns.find((one) => one.kind === kind);
  assert.ok(found, kind);
  return found;
}

const hour = Date.parse('2024-01-01T01:00:00Z');
const metadata = { name: 'x', namespace: 'n', creationTimestamp: '2024-01-01T00:00:00Z' };

function row(kind: string, object: JsonObject): Record<string, unknown> {
  const cells = kindOf(kind).columns.map(({ name, value }) => {
    assert.ok(typeof value === 'function');
    return [name, value({ metadata, ...object }, hour)] as const;
  });
  return Object.fromEntries(cells);
}

describe('columns of built-in kinds', () => {
  const containers = [{ name: 'c' }, { name: 'd' }];
  const waiting = (reason: string): JsonObject => ({
    containerStatuses: [
      { name: 'c', ready: false, restartCount: 2, state: { waiting: { reason } } },
    ],
  });
  for (const [status, more, expected] of [
    ['Pending', {}, 'Pending'],
    ['Running', waiting('CrashLoopBackOff'), 'CrashLoopBackOff'],
    ['Failed', { reason: 'Evicted' }, 'Evicted'],
    [
      'Pending',
      { initContainerStatuses: [{ state: { waiting: { reason: 'PodInitializing' } } }] },
      'Init:0/1',
    ],
    [
      'Pending',
      { initContainerStatuses: [{ state: { terminated: { exitCode: 3, reason: 'Error' } } }] },
      'Init:Error',
    ],
    ['Failed', { containerStatuses: [{ state: { terminated: { exitCode: 7 } } }] }, 'ExitCode:7'],
  ] as const) {
    test(`a pod that is ${expected}`, () => {
      const spec = { containers, initContainers: [{ name: 'i' }] };
      assert.equal(row('Pod', { spec, status: { phase: status, ...more } })['Status'], expected);
    });
  }

  test('a pod that runs, and one that goes', () => {
    const running = [{ name: 'c', ready: true, restartCount: 0, state: { running: {} } }];
    const status = { phase: 'Running', containerStatuses: running, podIP: '1.2.3.4' };
    const shown = row('Pod', { spec: { containers, nodeName: 'n1' }, status });
    assert.deepEqual(
      [
        shown['Ready'],
        shown['Status'],
        shown['Restarts'],
        shown['Age'],
        shown['IP'],
        shown['Node'],
      ],
      ['1/2', 'Running', '0', '60m', '1.2.3.4', 'n1'],
    );
    const leaving = { ...metadata, deletionTimestamp: '2024-01-01T00:30:00Z' };
    assert.equal(row('Pod', { metadata: leaving, status })['Status'], 'Terminating');
  });

  test('claims, services, jobs', () => {
    const spec = { volumeName: 'v', storageClassName: 'transship' };
    const status = { phase: 'Bound', capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'] };
    const claim = row('PersistentVolumeClaim', { spec, status });
    assert.deepEqual(Object.values(claim).slice(0, 6), [
      'x',
      'Bound',
      'v',
      '1Gi',
      'RWO',
      'transship',
    ]);
    const ports = [
      { port: 80, protocol: 'TCP' },
      { port: 53, protocol: 'UDP', nodePort: 30053 },
    ];
    const service = row('Service', { spec: { type: 'NodePort', clusterIP: '10.0.0.1', ports } });
    assert.equal(service['Port(s)'], '80/TCP,53:30053/UDP');
    const conditions = [{ type: 'Complete', status: 'True' }];
    const times = { startTime: '2024-01-01T00:00:00Z', completionTime: '2024-01-01T00:05:30Z' };
    const job = row('Job', {
      spec: { completions: 1 },
      status: { succeeded: 1, conditions, ...times },
    });
    assert.deepEqual(
      [job['Status'], job['Completions'], job['Duration']],
      ['Complete', '1/1', '5m30s'],
    );
  });

  test('every kind has its name among its columns, and all take an empty object', () => {
    for (const { kind, columns } of builtIns) {
      assert.ok(
        columns.some(({ name }) => name === 'Name'),
        kind,
      );
      for (const { value } of columns) {
        assert.ok(typeof value === 'function');
        assert.doesNotThrow(() => value({}, hour), kind);
      }
    }
  });
});

describe('OpenAPI documents', () => {
  const references = (value: unknown, key = ''): readonly string[] => {
    if (key === '$ref' && typeof value === 'string')
      return [value.slice(value.lastIndexOf('/') + 1)];
    if (isArray(value)) return value.flatMap((item) => references(item));
    if (!isObject(value)) return [];
    return Object.entries(value).flatMap(([name, inner]) => references(inner, name));
  };
  const crd = {
    metadata: { name: 'things.test.dev' },
    spec: {
      group: 'test.dev',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec: { type: 'object', properties: { a: { type: 'string' } } } },
            },
          },
        },
      ],
    },
  };
  const things = library.ofDefinition(crd);
  assert.ok(!('errors' in things));
  const all = [...builtIns, ...things];

  test('every reference leads somewhere, and every kind is named', () => {
    const three = library.openApiV3(all) as { components: { schemas: JsonObject } };
    const two = library.openApiV2(all) as { definitions: JsonObject };
    for (const [schemas, document] of [
      [three.components.schemas, three],
      [two.definitions, two],
    ] as const) {
      for (const name of references(document)) assert.ok(Object.hasOwn(schemas, name), name);
      for (const { group, version, kind } of all) {
        const named = Object.values(schemas).some((schema) => {
          const list = isObject(schema) ? schema['x-kubernetes-group-version-kind'] : undefined;
          const [gvk] = isArray(list) ? list : [];
          return (
            isObject(gvk) &&
            gvk['group'] === group &&
            gvk['version'] === version &&
            gvk['kind'] === kind
          );
        });
        assert.ok(named, kind);
      }
      assert.ok(!JSON.stringify(document).includes('x-transship'));
    }
  });

  test('kubectl finds out that patches are checked for unknown fields', () => {
    const { paths } = library.openApiV3(things) as {
      paths: Record<string, Record<string, { parameters: { name: string }[] }>>;
    };
    const patch = paths['/apis/test.dev/v1/namespaces/{namespace}/things/{name}']?.['patch'];
    assert.ok(patch?.parameters.some(({ name }) => name === 'fieldValidation'));
  });
});

describe('defaults of built-in kinds', () => {
  test('the limits of a pod are requested too, and its class follows', () => {
    const resources = { limits: { cpu: '1', memory: '1Gi' } };
    const pod = { metadata, spec: { containers: [{ name: 'c', image: 'a@sha256:0', resources }] } };
    const { object } = kindOf('Pod').schema.prepare(pod);
    const { spec, status } = object as {
      spec: { containers: JsonObject[] };
      status: JsonObject;
    };
    assert.deepEqual(spec.containers[0]?.['resources'], {
      ...resources,
      requests: resources.limits,
    });
    assert.equal(spec.containers[0]['imagePullPolicy'], 'IfNotPresent');
    assert.equal(status['qosClass'], 'Guaranteed');
  });

  test('a job without a selector selects by its uid', () => {
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'a' }] } };
    const job = { metadata: { ...metadata, uid: 'u-1' }, spec: { template } };
    const schema = kindOf('Job').schema;
    const { object } = schema.prepare(job);
    const labels = { 'batch.kubernetes.io/controller-uid': 'u-1' };
    assert.deepEqual((object['spec'] as JsonObject)['selector'], { matchLabels: labels });
    assert.deepEqual(schema.validate(object, undefined), []);
    assert.equal(schema.prepare(object).object, object);
  });
});
