/** Something of the user's own that runs between the steps of a migration. */
import { columns } from './columns.ts';
import { defineKind, type FrozenStatic, type KindObject, resourceOf } from './kind.ts';
import {
  atMostOneOf,
  bounds,
  duration,
  fields,
  labelName,
  list,
  objectName,
  optional,
  statusBase,
  text,
  word,
} from './schema.ts';

const spec = fields(
  'What to run, and where. It runs once; a failure is for a person to judge, not repeated.',
  {
    image: optional(
      text('Image of the container; a small one with a shell, or Ansible, when not given.', {
        min: 1,
        max: bounds.reason,
      }),
    ),
    playbook: optional(text('An Ansible playbook to run, as YAML.', { min: 1, max: 131_072 })),
    command: optional(
      list('Command and arguments.', text('One word of the command.', { max: 16_384 }), {
        min: 1,
        max: 256,
      }),
    ),
    target: word(['Source', 'Destination'], 'The cluster it runs in.'),
    namespace: labelName('The namespace it runs in.'),
    serviceAccount: optional(
      objectName('The ServiceAccount it runs as; the default one when not given.'),
    ),
    deadline: optional(
      duration('How long it may take before the step fails.', {
        default: '1800s',
        rules: [
          {
            rule: "self.matches('^0*[1-9][0-9]*[smhdw]$')",
            message: 'a hook needs a deadline of one second or more',
          },
        ],
      }),
    ),
  },
  {
    rules: [
      atMostOneOf('playbook', 'command'),
      {
        rule: 'has(self.image) || has(self.playbook) || has(self.command)',
        message: 'give an image, a playbook or a command',
      },
    ],
  },
);

const status = fields('Whether it can run.', { ...statusBase });

export const hookKind = defineKind({
  kind: 'Hook',
  plural: 'hooks',
  singular: 'hook',
  shortNames: ['thk'],
  namespaced: true,
  about: 'A command, playbook or image of yours that runs between the steps of a migration.',
  spec,
  status,
  columns: [
    columns.text('TARGET', '.spec.target', 'The cluster it runs in.'),
    columns.text('NAMESPACE', '.spec.namespace', 'The namespace it runs in.'),
    columns.text('DEADLINE', '.spec.deadline', 'How long it may take.'),
    columns.condition('READY', 'Ready', 'Whether it can run.'),
    columns.wide(columns.text('IMAGE', '.spec.image', 'Image of the container.')),
    columns.wide(columns.reason('REASON', 'Ready', 'Why it is ready or not.')),
  ],
  conditions: [{ type: 'Ready', meaning: 'What it names exists, and it can run.' }],
});

export type Hook = KindObject<'Hook', HookSpec, HookStatus>;
export type HookSpec = FrozenStatic<typeof spec>;
export type HookStatus = FrozenStatic<typeof status>;
export const hooks = resourceOf<Hook>(hookKind);
