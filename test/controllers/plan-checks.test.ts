import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan, PlanSpec } from '../../src/api/kinds/plan.ts';
import { allChecks } from '../../src/controllers/plan/checks/all.ts';
import { runCheck, sentences } from '../../src/controllers/plan/checks/check.ts';
import { policyFor } from '../../src/controllers/plan/checks/existing.ts';
import { securityProblem } from '../../src/controllers/plan/checks/pod-security.ts';
import { assumedBytesPerSecond, estimate } from '../../src/controllers/plan/estimate.ts';
import type {
  FoundClaim,
  Observation,
  SeenDestination,
  SeenRepository,
  SeenSource,
  Side,
} from '../../src/controllers/plan/observation.ts';
import { readyOf, reportOf } from '../../src/controllers/plan/report.ts';
import { inferType } from '../../src/controllers/plan/type.ts';
import { plannedVolumes } from '../../src/controllers/plan/volumes.ts';
import type { KubeObject } from '../../src/kube/objects.ts';

const MiB = 1024 ** 2;
const time = '2026-01-01T00:00:00Z';

function plan(spec: Partial<PlanSpec> = {}): Plan {
  return {
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Plan',
    metadata: { namespace: 'shop', name: 'move', uid: 'p' },
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }], ...spec },
  } as Plan;
}

function side(name: string, more: Partial<Side> = {}): Side {
  const version = 'v1.33.1';
  return { name, exists: true, trouble: undefined, version, capabilities: [], nodes: 1, ...more };
}

const named = (name: string, more: object = {}): KubeObject =>
  ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name }, ...more }) as KubeObject;

const storageClass = (name: string, provisioner = 'transship.dev') =>
  ({ ...named(name), kind: 'StorageClass', provisioner }) as never;

function claim(name: string, size = '100Mi', driver = 'transship.dev'): FoundClaim {
  const spec = {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'transship',
    capacity: { storage: size },
    csi: { driver, volumeHandle: name },
  };
  return {
    claim: { ...named(name), metadata: { name, namespace: 'shop' }, spec: {} } as never,
    volume: { ...named(`pv-${name}`), spec } as never,
    usedBytes: undefined,
  };
}

const survey = {
  inventory: { namespaces: ['shop'], items: [], leftOut: [], skippedKinds: [], unreadable: [] },
  needs: {
    definitions: [],
    storageClasses: [],
    priorityClasses: [],
    ingressClasses: [],
    runtimeClasses: [],
    attributesClasses: [],
    clusterRoles: [],
    clusterRoleBindings: [],
    volumes: [],
    namespaces: [],
    missing: [],
    registries: [],
    unreadable: [],
  },
  webhooks: { webhooks: [], unreadable: [] },
  ownersOutside: [],
} as NonNullable<SeenSource['survey']>;

interface Parts extends Partial<Omit<Observation, 'seenSource' | 'seenDestination'>> {
  readonly at?: Partial<SeenSource>;
  readonly there?: Partial<SeenDestination>;
}

/** All is well, but for what is given. */
function seen({ at, there, ...more }: Parts = {}): Observation {
  return {
    plan: plan(),
    source: side('east'),
    destination: side('west'),
    others: [],
    hooks: new Map(),
    migrations: [],
    missingRights: [],
    seenSource: {
      namespaces: new Map([['shop', named('shop')]]),
      classes: [storageClass('transship')],
      survey,
      claims: [],
      workloads: [],
      unhealthy: [],
      ...at,
    },
    seenDestination: {
      namespaces: new Map([['shop', named('shop')]]),
      classes: [storageClass('transship')],
      named: new Set(),
      quotas: [],
      limitRanges: [],
      existing: [],
      nodes: [named('n1') as never],
      ...there,
    },
    ...more,
  };
}

function failedOf(observation: Observation): readonly string[] {
  const judged = {
    seen: observation,
    volumes: plannedVolumes(observation),
    type: inferType(observation.plan),
  };
  return allChecks
    .map((one) => runCheck(one, judged))
    .flatMap(({ id, result }) => {
      return result === 'Failed' ? [id] : [];
    });
}

function needs(field: string, kind: string, name: string): Parts {
  const one = { name: { group: 'x', kind, namespace: '', name }, neededBy: [], count: 1 };
  return { at: { survey: { ...survey, needs: { ...survey.needs, [field]: [one] } } } };
}

function deployment(spec: object): Partial<SeenSource> {
  const pod = { containers: [{ name: 'web', image: 'web:1' }], ...spec };
  const object = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: 'shop', name: 'web' },
    spec: { template: { spec: pod } },
  };
  return { workloads: [object as never] };
}

function withLevel(level: string): Partial<SeenDestination> {
  const labels = { 'pod-security.kubernetes.io/enforce': level };
  return { namespaces: new Map([['shop', named('shop', { metadata: { name: 'shop', labels } })]]) };
}

const registry = {
  cluster: 'east',
  host: 'inner.example',
  hosts: ['inner.example'],
  address: 'inner.example',
};

/** Something runs an image of the registry of the source. */
function withImage(spec: Partial<PlanSpec> = {}, there: Partial<Side> = {}): Parts {
  const images = [{ text: 'inner.example/shop/web:1', container: 'web', image: undefined }];
  const name = { group: 'apps', kind: 'Deployment', namespace: 'shop', name: 'web' };
  const item = { type: {}, name, uid: 'u', labels: {}, references: [], images, owners: [] };
  const inventory = { ...survey.inventory, items: [item as never] };
  return {
    plan: plan(spec),
    source: side('east', { registry }),
    destination: side('west', there),
    at: { survey: { ...survey, inventory } },
  };
}

function way(more: Partial<SeenRepository> = {}): SeenRepository {
  return { name: 'between', exists: true, isTried: true, troubles: [], ...more };
}

/** The destination trusts nobody, and a claim would teleport. */
function strangers(more: Parts = {}): Parts {
  return { destination: side('west', { peers: [] }), at: { claims: [claim('db')] }, ...more };
}

const placed = { metadata: { namespace: 'shop', name: 'limits' } };
const quota = (hard: object, used: object = {}) =>
  ({ ...placed, spec: { hard }, status: { used } }) as never;
const dark = { reason: 'ApiUnreachable', message: 'nobody answers' };
const tooSmall = [{ namespace: 'shop', claim: 'db', size: '10Mi', method: 'Filesystem' }];
const converted = { destination: 'east' };
const rows: readonly (readonly [what: string, parts: Parts, ids: readonly string[]])[] = [
  ['all is well', { at: { claims: [claim('db')] } }, []],
  ['machines are to run on', { plan: plan({ liveMigrate: true }) }, ['LiveMigrateNotYet']],
  ['an image has no home', withImage(), ['DestinationClusterNoRegistry']],
  ['it may stay', withImage({ imageFailure: 'Warn' }), ['ImagesNotCopied']],
  ['images are skipped', withImage({ images: 'Skip' }), []],
  ['an image has one', withImage({}, { registry: { ...registry, address: 'b.example' } }), []],
  [
    'images by a detour',
    withImage({ images: 'Repository' }, { registry: { ...registry, address: 'b.example' } }),
    ['ImagesThroughRepository'],
  ],
  ['no such repository', { repository: way({ exists: false }) }, ['InvalidRepository']],
  ['a repository that is away', { repository: way({ troubles: ['x'] }) }, ['RepositoryNotReady']],
  ['a repository that was not tried yet', { repository: way({ isTried: false }) }, []],
  ['agents without a link', strangers(), ['NoLink']],
  ['agents with a repository between them', strangers({ repository: way() }), []],
  [
    'agents with a repository that is away',
    strangers({ repository: way({ troubles: ['x'] }) }),
    ['RepositoryNotReady', 'NoLink'],
  ],
  ['no source', { source: side('east', { exists: false }) }, ['InvalidSourceCluster']],
  ['no destination', { destination: side('x', { exists: false }) }, ['InvalidDestinationCluster']],
  ['source is dark', { source: side('east', { trouble: dark }) }, ['SourceClusterNotReady']],
  ['far is dark', { destination: side('x', { trouble: dark }) }, ['DestinationClusterNotReady']],
  [
    'an older destination',
    { destination: side('west', { version: 'v1.30.0' }) },
    ['ClusterVersionMismatch'],
  ],
  [
    'two become one',
    { plan: plan({ namespaces: [{ name: 'shop' }, { name: 'b', to: 'shop' }] }) },
    ['DuplicateNamespaceAtDestination', 'NamespaceNotFoundAtSource'],
  ],
  [
    'some are renamed in one cluster',
    {
      plan: plan({ ...converted, namespaces: [{ name: 'shop' }, { name: 'a', to: 'b' }] }),
      at: { namespaces: new Map([named('shop'), named('a')].map((n) => [n.metadata.name!, n])) },
    },
    ['IntraClusterMapping'],
  ],
  [
    'nobody makes the namespace',
    { plan: plan({ createNamespaces: false }), there: { namespaces: new Map() } },
    ['NamespaceNotFoundAtDestination'],
  ],
  [
    'a long name',
    { plan: plan({ namespaces: [{ name: 'shop', to: 'n'.repeat(60) }] }) },
    ['NamespaceLength'],
  ],
  ['another plan', { others: [plan({ destination: 'north' })] }, ['PlanConflict']],
  ['another plan of other namespaces', { others: [plan({ namespaces: [{ name: 'else' }] })] }, []],
  [
    'a bad selection',
    { plan: plan({ resources: { include: ['a..b'] } }) },
    ['InvalidResourceList'],
  ],
  ['a bad patch', { plan: plan({ patches: [{ kind: 'A', patch: '{}' }] }) }, ['InvalidPatch']],
  [
    'a bad image rule',
    { plan: plan({ mappings: { images: [{ from: 'UPPER', to: 'x' }] } }) },
    ['InvalidImageRule'],
  ],
  [
    'no such claim',
    { plan: plan({ volumes: [{ namespace: 'shop', claim: 'gone' }] }) },
    ['VolumeNotFound'],
  ],
  [
    'no class',
    { at: { claims: [claim('db')] }, there: { classes: [] } },
    ['VolumeMethod', 'StorageClassUnavailable'],
  ],
  [
    'too small',
    {
      plan: plan({ volumes: tooSmall as never }),
      at: { claims: [{ ...claim('db'), usedBytes: 20 * MiB }] },
    },
    ['CapacityTooSmall'],
  ],
  [
    'a remote volume that is not',
    {
      plan: plan({ volumes: [{ namespace: 'shop', claim: 'db', action: 'Move' }] }),
      at: { claims: [claim('db')] },
    },
    ['VolumeAction'],
  ],
  [
    'a conversion to the same class',
    {
      plan: plan(converted),
      at: { claims: [claim('db')] },
    },
    ['SameStorageClass'],
  ],
  ['no priority class', needs('priorityClasses', 'PriorityClass', 'p'), ['PriorityClassMissing']],
  ['no ingress class', needs('ingressClasses', 'IngressClass', 'i'), ['IngressClassMissing']],
  [
    'no class of attributes',
    needs('attributesClasses', 'VolumeAttributesClass', 'a'),
    ['VolumeAttributesClassMissing'],
  ],
  [
    'an ingress class under another name',
    {
      ...needs('ingressClasses', 'IngressClass', 'i'),
      plan: plan({ mappings: { ingressClasses: [{ from: 'i', to: 'j' }] } }),
      there: { named: new Set(['IngressClass j']) },
    },
    [],
  ],
  [
    'rights',
    {
      missingRights: [
        { cluster: 'west', namespace: 'shop', group: 'apps', resource: 'x', verbs: ['create'] },
      ],
    },
    ['MissingRights'],
  ],
  ['workloads nobody may list', { at: { hidden: 'needs the right' } }, ['MissingRights']],
  [
    'claims beyond a quota',
    { at: { claims: [claim('db')] }, there: { quotas: [quota({ 'requests.storage': '50Mi' })] } },
    ['QuotaExceeded'],
  ],
  [
    'one claim too many',
    {
      at: { claims: [claim('db')] },
      there: { quotas: [quota({ persistentvolumeclaims: '2' }, { persistentvolumeclaims: '2' })] },
    },
    ['QuotaExceeded'],
  ],
  [
    'a limit range',
    {
      at: { claims: [claim('db')] },
      there: {
        limitRanges: [
          {
            ...placed,
            spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '1Mi' } }] },
          } as never,
        ],
      },
    },
    ['LimitRangeExceeded'],
  ],
  [
    'a privileged pod',
    { at: deployment({ hostPID: true }), there: withLevel('baseline') },
    ['PodSecurity'],
  ],
  [
    'a pod that may be root',
    { at: deployment({}), there: withLevel('restricted') },
    ['PodSecurity'],
  ],
  ['the same pod elsewhere', { at: deployment({}), there: withLevel('privileged') }, []],
  [
    'no node for it',
    { at: deployment({ nodeSelector: { disk: 'ssd' } }) },
    ['NodeSelectors', 'NotSchedulable'],
  ],
];

for (const [what, parts, ids] of rows) {
  test(`checks of a plan: ${what}`, () => {
    assert.deepEqual(failedOf(seen(parts)), ids);
  });
}

test('checks have names of their own, and each says what to do', () => {
  assert.equal(new Set(allChecks.map(({ id }) => id)).size, allChecks.length);
  for (const { remedy } of allChecks) assert.match(remedy, /^[A-Z].*\.$/);
});

test('a plan is ready by its checks, and not while one is pending', () => {
  const one = { id: 'A', category: 'Error', result: 'Failed', message: 'm' } as const;
  assert.equal(readyOf([one]).status, 'False');
  assert.equal(readyOf([{ ...one, category: 'Warning' }]).status, 'True');
  assert.equal(readyOf([{ ...one, result: 'Pending' }]).status, 'Unknown');
});

test('nothing was seen: what can be told is told, the rest is pending', () => {
  const nothing = { ...seen(), seenSource: undefined, seenDestination: undefined };
  const { conditions, fields } = reportOf({ ...nothing, missingRights: undefined }, time);
  assert.equal(conditions[0]?.status, 'Unknown');
  assert.equal((fields as Plan['status'])?.volumes, undefined);
});

test('long lists are shortened, and it is said by how much', () => {
  const many = Array.from({ length: 40 }, (_, i) => `claim ${i} ${'x'.repeat(60)}`);
  assert.match(sentences(many), /; and 32 more$/);
  assert.ok(sentences(many.map((one) => one.repeat(20))).length <= 1024);
  const claims = Array.from({ length: 1001 }, (_, i) => claim(`c${i}`));
  const status = reportOf(seen({ at: { claims } }), time).fields as NonNullable<Plan['status']>;
  assert.equal(status.volumes?.length, 1000);
  assert.ok(status.checks?.some(({ id }) => id === 'StatusShortened'));
  assert.ok(JSON.stringify(status).length < 1_000_000);
});

test('the type follows from clusters, names and claims', () => {
  assert.equal(inferType(plan()), 'Namespace');
  assert.equal(inferType(plan({ destination: 'east' })), 'StorageConversion');
  const namespaces = [{ name: 'shop', to: 'other' }];
  assert.equal(inferType(plan({ destination: 'east', namespaces })), 'State');
  const volumes = [{ namespace: 'shop', claim: 'db', name: 'new' }];
  assert.equal(inferType(plan({ volumes })), 'State');
  assert.equal(inferType(plan({ volumes, type: 'Namespace' })), 'Namespace');
});

test('the estimate counts with what was measured, within the limit', () => {
  const at = { claims: [claim('db', '1000Mi', 'other')] };
  const there = { classes: [storageClass('transship', 'other')] };
  const seconds = (parts: Parts) => {
    const observation = seen({ at, there, ...parts });
    return estimate(observation, plannedVolumes(observation));
  };
  const bytes = 1000 * MiB;
  assert.equal(seconds({}).seconds, 30 + bytes / assumedBytesPerSecond);
  assert.equal(seconds({ plan: plan({ bandwidth: '10Mi' }) }).seconds, 130);
  const stage = {
    spec: { type: 'Stage' },
    status: {
      report: { bytesPerSecond: 100 * MiB },
      conditions: [{ type: 'Succeeded', status: 'True' }],
    },
  };
  const again = seconds({ migrations: [stage as never] });
  assert.equal(again.bytesToMove, bytes / 20);
  assert.equal(again.downtimeSeconds, 31);
  const report = { bytesPerSecond: 100, bytes: 400 };
  const tiny = { ...stage, status: { ...stage.status, report } };
  assert.match(seconds({ migrations: [tiny as never] }).basis, /assumed/);
});

test('the most exact rule about what exists wins', () => {
  const existing = [
    { resource: '*', policy: 'Keep' },
    { resource: 'deployments.apps', policy: 'Update' },
  ] as const;
  const apps = { group: 'apps', plural: 'deployments' };
  assert.equal(policyFor(plan({ existing }), apps), 'Update');
  assert.equal(policyFor(plan({ existing }), { group: '', plural: 'secrets' }), 'Keep');
  assert.equal(policyFor(plan(), apps), 'Fail');
});

test('a pod as the restricted level wants it is admitted', () => {
  const good = {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'a',
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  };
  assert.equal(securityProblem(good, 'restricted'), undefined);
  assert.match(securityProblem({ ...good, hostNetwork: true }, 'restricted') ?? '', /hostNetwork/);
});
