/** What moves from where to where, and how; migrations run it. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, resourceOf } from './kind.ts';
import {
  accessModes,
  check,
  checksMax,
  declined,
  methodMeaning,
  methods,
  namespacesMax,
  volumeMode,
  volumesMax,
} from './migrating.ts';
import { existing, mappings, patches, resource } from './plan-changes.ts';
import { labelSelector } from './selector.ts';
import {
  bounds,
  bytes,
  count,
  fields,
  fixed,
  flag,
  keyed,
  labelName,
  list,
  objectName,
  optional,
  ownName,
  quantity,
  rate,
  setOf,
  shown,
  statusBase,
  text,
  time,
  stays,
  unchanged,
  word,
} from './schema.ts';

const namespace = fields('A namespace to move.', {
  name: labelName('Its name at the source.'),
  to: optional(labelName('Its name at the destination; the same when not given.')),
});

const volume = fields('What happens to one claim; the best is chosen for claims not listed.', {
  namespace: labelName('Namespace of the claim at the source.'),
  claim: objectName('The PersistentVolumeClaim at the source.'),
  action: optional(
    word(
      ['Copy', 'Move', 'Skip'],
      'Copy: a new volume gets the data. Move: the same remote volume is used, such as NFS.',
      { default: 'Copy' },
    ),
  ),
  method: optional(word(methods, `${methodMeaning} The first that works when not given.`)),
  storageClass: optional(objectName('Storage class of the new claim.')),
  name: optional(objectName('Name of the new claim; the same when not given.')),
  accessModes: optional(accessModes('Access modes of the new claim; the same when not given.')),
  volumeMode: optional(volumeMode('Whether the new claim has files or is a raw device.')),
  size: optional(quantity('Size of the new claim; as large as the old one when not given.')),
  verify: optional(flag('Compare every byte of both sides at the end.', { default: false })),
});

const resources = fields('Which objects move along; all that make sense when not given.', {
  include: optional(
    setOf(
      'Only these, as PLURAL or PLURAL.GROUP, such as deployments.apps.',
      resource('One resource.'),
      { max: 256 },
    ),
  ),
  exclude: optional(setOf('None of these.', resource('One resource.'), { max: 256 })),
  labelSelector: optional(labelSelector('Only objects whose labels match.')),
});

const hook = fields('Something of your own to run between steps.', {
  hook: objectName('The Hook, in the namespace of this plan.'),
  phase: word(
    ['PreBackup', 'PostBackup', 'PreRestore', 'PostRestore'],
    'When it runs: before or after objects are read, before or after they are made.',
  ),
  order: optional(
    count('Hooks of one phase run in this order; those with the same number as listed.', {
      max: 1000,
      default: 0,
    }),
  ),
});

const spec = fields(
  'What moves, and how.',
  {
    source: ownName('The Cluster that it moves from.', { rules: [unchanged('source')] }),
    destination: ownName('The Cluster that it moves to; the same one for a storage conversion.', {
      rules: [unchanged('destination')],
    }),
    repository: optional(ownName('The Repository to go through where there is no direct way.')),
    type: optional(
      word(
        ['Namespace', 'State', 'StorageConversion'],
        'Namespace: objects, images and data. State: data only. ' +
          'StorageConversion: data to another storage class of the same cluster. ' +
          'Found out from the rest when not given; the status says which it is.',
      ),
    ),
    namespaces: keyed('The namespaces that move.', ['name'], namespace, {
      min: 1,
      max: namespacesMax,
    }),
    volumes: optional(
      keyed('Choices for single claims.', ['namespace', 'claim'], volume, { max: volumesMax }),
    ),
    resources: optional(resources),
    images: optional(
      word(
        ['Auto', 'Direct', 'Repository', 'Skip'],
        'How images get there. Auto: directly where the registries reach each other.',
        { default: 'Auto' },
      ),
    ),
    imageFailure: optional(
      word(
        ['Fail', 'Warn'],
        'What an image that cannot be had at the destination does to a migration.',
        { default: 'Fail' },
      ),
    ),
    patches: optional(patches),
    existing: optional(existing),
    mappings: optional(mappings),
    serviceNames: optional(
      flag('Rewrite names of services of renamed namespaces in variables and arguments.', {
        default: false,
      }),
    ),
    createNamespaces: optional(
      flag('Make namespaces that the destination does not have.', { default: true }),
    ),
    hooks: optional(keyed('What runs between steps.', ['hook', 'phase'], hook, { max: 32 })),
    liveMigrate: optional(
      flag('Move the disks of running virtual machines without stopping them.', {
        default: false,
      }),
    ),
    quiesce: optional(
      flag('Stop the workloads at the source before the last copy of a cutover.', {
        default: true,
      }),
    ),
    bandwidth: optional(
      rate(
        'Bytes a second at most over all volumes, and over all images; ' +
          'can be changed while a migration runs.',
      ),
    ),
    concurrency: optional(
      count('Volumes and images that are copied at once.', { min: 1, max: 64, default: 4 }),
    ),
    onFailure: optional(
      word(
        ['RollBack', 'Pause'],
        'RollBack: a failed cutover puts the source back. Pause: it waits for a person.',
        { default: 'RollBack' },
      ),
    ),
    closed: optional(
      flag('Done: no migration of it may run any more. It stays closed.', { default: false }),
    ),
  },
  {
    rules: [
      ...fixed(['type']),
      {
        rule:
          "!has(self.type) || self.type != 'StorageConversion' || " +
          'self.source == self.destination',
        message: 'a storage conversion has the same source and destination',
      },
      {
        rule: stays('closed'),
        message: 'a closed plan cannot be opened again',
      },
    ],
  },
);

const foundVolume = fields('A claim that was found at the source.', {
  namespace: labelName('Its namespace.'),
  claim: objectName('Its name.'),
  volume: optional(objectName('Its PersistentVolume.')),
  storageClass: optional(text('Its storage class.', { max: bounds.name })),
  capacityBytes: optional(bytes('Its size.')),
  usedBytes: optional(bytes('What is used of it, where that is known.')),
  accessModes: optional(accessModes('Its access modes.')),
  volumeMode: optional(volumeMode('Files, or a raw device.')),
  actions: optional(
    setOf('What can be done with it.', word(['Copy', 'Move', 'Skip'], 'One action.'), { max: 3 }),
  ),
  method: optional(word(methods, 'The method that will be used.')),
  declined: optional(keyed('The methods that cannot be used.', ['method'], declined, { max: 4 })),
});

const foundImage = fields('An image that workloads use.', {
  reference: text('Name of the image.', { min: 1, max: bounds.reason }),
  sizeBytes: optional(bytes('Size of its layers.')),
});

const unhealthy = fields('A workload that is not healthy at the source.', {
  namespace: labelName('Its namespace.'),
  kind: text('Its kind.', { min: 1, max: bounds.label }),
  name: text('Its name.', { min: 1, max: bounds.name }),
  because: text('What is wrong with it.', { max: bounds.reason }),
});

const incompatible = fields('A kind that the destination does not serve.', {
  resource: text('The kind, as PLURAL.GROUP.', { min: 1, max: 316 }),
  objects: count('Objects of it that would not move.'),
  message: text('What is missing.', { max: bounds.reason }),
});

const status = fields('What was found, and what it will take.', {
  ...statusBase,
  type: optional(
    word(['Namespace', 'State', 'StorageConversion'], 'What moves, as asked for or found out.'),
  ),
  observedTime: optional(time('When the clusters were last looked at.')),
  unhealthy: optional(
    keyed(
      'Workloads that are not healthy at the source; the first hundred.',
      ['namespace', 'kind', 'name'],
      unhealthy,
      { max: 100 },
    ),
  ),
  incompatible: optional(
    keyed('Kinds that the destination does not serve.', ['resource'], incompatible, {
      max: 100,
    }),
  ),
  checks: optional(keyed('What was looked at.', ['id'], check, { max: checksMax })),
  volumes: optional(
    keyed('The claims that were found.', ['namespace', 'claim'], foundVolume, {
      max: volumesMax,
    }),
  ),
  images: optional(
    keyed('The images that were found; the first thousand.', ['reference'], foundImage, {
      max: 1000,
    }),
  ),
  totals: optional(
    fields('Sums.', {
      namespaces: optional(count('Namespaces.')),
      resources: optional(count('Objects.')),
      volumes: optional(count('Claims.')),
      images: optional(count('Images.')),
      bytes: optional(bytes('Bytes in volumes and images.')),
    }),
  ),
  estimate: optional(
    fields('What a cutover will take.', {
      bytesToMove: optional(bytes('Bytes to send, without those already at the destination.')),
      seconds: optional(count('Seconds from start to end.')),
      downtimeSeconds: optional(count('Seconds that the workloads are down.')),
      moves: optional(shown('Bytes to send.')),
    }),
  ),
  migrations: optional(
    list('Its migrations, the newest first.', objectName('A Migration.'), { max: 50 }),
  ),
});

export const planKind = defineKind({
  kind: 'Plan',
  plural: 'plans',
  singular: 'plan',
  shortNames: ['tplan'],
  namespaced: true,
  about: 'Which namespaces move from which cluster to which, and how.',
  spec,
  status,
  columns: [
    columns.condition('READY', 'Ready', 'Whether a migration of it can run.'),
    columns.text('SOURCE', '.spec.source', 'The cluster it moves from.'),
    columns.text('DESTINATION', '.spec.destination', 'The cluster it moves to.'),
    columns.text('TYPE', '.status.type', 'What moves.'),
    columns.number('VOLUMES', '.status.totals.volumes', 'Claims that were found.'),
    columns.wide(columns.text('MOVES', '.status.estimate.moves', 'Bytes to send.')),
    columns.wide(columns.flag('CLOSED', '.spec.closed', 'Whether it is done with.')),
    columns.wide(columns.reason('REASON', 'Ready', 'Why it is ready or not.')),
  ],
  conditions: [{ type: 'Ready', meaning: 'Every check that matters has passed.' }],
});

export type Plan = KindObject<'Plan', PlanSpec, PlanStatus>;
export type PlanSpec = FrozenStatic<typeof spec>;
export type PlanStatus = FrozenStatic<typeof status>;
export const plans = resourceOf<Plan>(planKind);
