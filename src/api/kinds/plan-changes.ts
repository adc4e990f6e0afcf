/** What a plan changes in the objects on their way, and what it does where they exist already. */
import {
  bounds,
  fields,
  keyed,
  labelName,
  list,
  objectName,
  optional,
  text,
  word,
} from './schema.ts';
import { labelSelector } from './selector.ts';

/** `deployments.apps`, `*.apps` or `*`. */
export const resource = (description: string) =>
  text(description, {
    min: 1,
    max: 316,
    pattern: '^([a-z0-9-]+|\\*)(\\.[a-z0-9-]+)*$',
  });

const patch = fields('A change of your own to the objects that it is meant for.', {
  group: optional(
    text('API group of the objects, such as apps; any when not given.', { max: bounds.name }),
  ),
  kind: text('Kind of the objects, such as Deployment.', { min: 1, max: bounds.label }),
  namespace: optional(labelName('Namespace of the objects at the source; any when not given.')),
  name: optional(
    text('Name of the objects, with `*` for any text; all when not given.', {
      min: 1,
      max: bounds.name,
    }),
  ),
  labelSelector: optional(labelSelector('Only objects whose labels match at the source.')),
  patch: text('JSON patch (RFC 6902), as JSON: a list of operations.', { min: 2, max: 65_536 }),
});

export const patches = list('Changes of your own, one after another.', patch, { max: 64 });

const policy = fields('What happens to one kind.', {
  resource: resource('The kind, as PLURAL or PLURAL.GROUP, such as configmaps; `*` for all.'),
  policy: word(
    ['Fail', 'Keep', 'Update'],
    'Fail: nothing starts. Keep: theirs stays. Update: theirs becomes ours.',
  ),
});

export const existing = keyed(
  'What happens where the destination has an object of that name; it fails for kinds not listed.',
  ['resource'],
  policy,
  { max: 64 },
);

const classNames = (description: string) =>
  keyed(
    description,
    ['from'],
    fields('One name and what it becomes.', {
      from: objectName('At the source.'),
      to: objectName('At the destination.'),
    }),
    { max: 64 },
  );

const texts = (description: string, from: string, to: string) =>
  keyed(
    description,
    ['from'],
    fields('One rule.', {
      from: text(from, { min: 1, max: bounds.name }),
      to: text(to, { min: 1, max: bounds.name }),
    }),
    { max: 128 },
  );

export const mappings = fields('Names that mean something else at the destination.', {
  storageClasses: optional(classNames('Storage classes.')),
  ingressClasses: optional(classNames('Ingress classes.')),
  priorityClasses: optional(classNames('Priority classes.')),
  hosts: optional(
    texts(
      'DNS names of ingresses and routes.',
      'A name, or `.suffix` for all names below it.',
      'A name, or `.suffix`.',
    ),
  ),
  images: optional(
    texts(
      'Where images are; the longest rule that fits is taken.',
      'A registry, a beginning of a path that ends with `/`, or an image.',
      'What takes its place.',
    ),
  ),
});
