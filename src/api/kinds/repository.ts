/** A place outside all clusters where data can wait: an object store or a directory. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, nameRule, resourceOf } from './kind.ts';
import {
  bounds,
  bytes,
  count,
  exactlyOneOf,
  fields,
  flag,
  optional,
  secret,
  shown,
  statusBase,
  text,
  time,
  unchanged,
} from './schema.ts';

const s3 = fields('A bucket of an object store that speaks S3.', {
  endpoint: text('Address of the store, such as https://s3.example.org. Only https.', {
    min: 1,
    max: 1024,
    pattern: '^https://[^/]+/?$',
  }),
  bucket: text('The bucket.', {
    min: 3,
    max: 63,
    pattern: '^[a-z0-9][a-z0-9.-]*[a-z0-9]$',
    rules: [unchanged('bucket')],
  }),
  region: optional(text('Region of the bucket.', { min: 1, max: 64, default: 'us-east-1' })),
  prefix: optional(
    text('What the names of all objects begin with.', {
      max: 512,
      default: '',
      pattern: '^[^/].*$|^$',
      rules: [unchanged('prefix')],
    }),
  ),
  credentialsSecretRef: secret('Secret with the entries accessKeyId and secretAccessKey.'),
  caBundle: optional(
    text('Certificates in PEM that the store is verified with, beside those of the host.', {
      max: bounds.certificates,
    }),
  ),
  forcePathStyle: optional(
    flag('Name the bucket in the path instead of the host name; many stores need it.', {
      default: false,
    }),
  ),
});

const directory = fields('A directory that every agent sees at the same path, such as NFS.', {
  path: text('Absolute path.', {
    min: 1,
    max: bounds.path,
    pattern: '^/',
    rules: [unchanged('path')],
  }),
});

const spec = fields(
  'Where the repository is.',
  {
    s3: optional(s3),
    directory: optional(directory),
    passwordSecretRef: optional(
      secret(
        'Secret with the entry password, which encrypts volumes of Transship there; one is made ' +
          'in transship-system when not given. Clusters that share the place need the same.',
      ),
    ),
  },
  {
    rules: [
      exactlyOneOf('s3', 'directory'),
      {
        rule: 'has(self.s3) == has(oldSelf.s3)',
        message: 'a bucket cannot become a directory, nor the reverse',
      },
    ],
  },
);

const status = fields('What it holds.', {
  ...statusBase,
  objects: optional(count('Objects or files in it.')),
  bytes: optional(bytes('Bytes it takes.')),
  size: optional(shown('Bytes it takes.')),
  versions: optional(count('Saved versions of volumes of Transship.')),
  chunks: optional(count('Different blocks of these volumes, and pages of their trees.')),
  savingPermille: optional(
    count('Thousand times logical bytes over stored bytes; 1000 means nothing saved.'),
  ),
  lastProbeTime: optional(time('When it was last written to and read back.')),
});

export const repositoryKind = defineKind({
  kind: 'Repository',
  plural: 'repositories',
  singular: 'repository',
  shortNames: ['trepo'],
  namespaced: false,
  about: 'An object store or directory that data passes through where there is no direct way.',
  spec,
  status,
  columns: [
    columns.condition('READY', 'Ready', 'Whether it can be used.'),
    columns.text('SIZE', '.status.size', 'Bytes it takes.'),
    columns.reason('REASON', 'Ready', 'Why it is ready or not.'),
    columns.wide(columns.text('BUCKET', '.spec.s3.bucket', 'The bucket, if it is one.')),
    columns.wide(columns.text('PATH', '.spec.directory.path', 'The directory, if it is one.')),
    columns.wide(columns.date('PROBED', '.status.lastProbeTime', 'When it was last tried.')),
  ],
  rules: [nameRule],
  conditions: [
    { type: 'Ready', meaning: 'Bytes were written to it and read back.' },
    { type: 'Known', meaning: 'The agents of this cluster can save volumes there.' },
  ],
});

export type Repository = KindObject<'Repository', RepositorySpec, RepositoryStatus>;
export type RepositorySpec = FrozenStatic<typeof spec>;
export type RepositoryStatus = FrozenStatic<typeof status>;
export const repositories = resourceOf<Repository>(repositoryKind);
