/** How long the past of a volume can be gone back to, and in which steps. */
import { limits } from '../../base/limits.ts';
import { formatDuration } from '../../base/units.ts';
import { columns } from './columns.ts';
import {
  defineKind,
  type FrozenStatic,
  type KindObject,
  nameRule,
  type Rule,
  resourceOf,
} from './kind.ts';
import { count, duration, fields, flag, optional, ownName, setOf, statusBase } from './schema.ts';

const seconds = 1000;

/** CEL has no days in its durations, so the rule computes with the number and the unit. */
function within(reachMs: number, what: string): Rule {
  const unit =
    "(self.endsWith('s') ? 1 : self.endsWith('m') ? 60 : self.endsWith('h') ? 3600 : " +
    "self.endsWith('d') ? 86400 : 604800)";
  const number = 'int(self.substring(0, self.size() - 1))';
  return {
    // What is no duration at all is refused for its pattern; the rule has nothing to add.
    rule: `!self.matches('^[0-9]{1,8}[smhdw]$') || ${number} * ${unit} <= ${reachMs / seconds}`,
    message: `${what} reach back ${formatDuration(reachMs)} at most`,
  };
}

function step(what: string, reachMs: number) {
  const one = what.slice(0, -1);
  const kept = what === 'seconds' ? 'every second' : `one moment of every ${one}`;
  const most = `${formatDuration(reachMs)} at most`;
  return optional(
    duration(`How long ${kept} stays restorable: ${most}. 0 keeps none of them.`, {
      default: '0',
      rules: [within(reachMs, what)],
    }),
  );
}

const spec = fields('How far back a volume can be restored, from fine to coarse steps.', {
  seconds: step('seconds', limits.historySecondsMaxMs),
  minutes: step('minutes', limits.historyMinutesMaxMs),
  hours: step('hours', limits.historyHoursMaxMs),
  days: step('days', limits.historyDaysMaxMs),
});

const status = fields('Who uses it.', {
  ...statusBase,
  preset: optional(flag('It comes with Transship and cannot be deleted.')),
  volumeCount: optional(count('How many volumes use it.')),
  volumes: optional(
    setOf('Volumes that use it, in order; the first hundred.', ownName('A volume.'), { max: 100 }),
  ),
});

export const historyPolicyKind = defineKind({
  kind: 'HistoryPolicy',
  plural: 'historypolicies',
  singular: 'historypolicy',
  shortNames: ['thp'],
  namespaced: false,
  about: 'How long the past of a volume can be gone back to.',
  spec,
  status,
  columns: [
    columns.text('SECONDS', '.spec.seconds', 'How long every second stays.'),
    columns.text('MINUTES', '.spec.minutes', 'How long every minute stays.'),
    columns.text('HOURS', '.spec.hours', 'How long every hour stays.'),
    columns.text('DAYS', '.spec.days', 'How long every day stays.'),
    columns.number('VOLUMES', '.status.volumeCount', 'How many volumes use it.'),
    columns.wide(columns.condition('READY', 'Ready', 'Whether all agents have it.')),
  ],
  rules: [nameRule],
  conditions: [{ type: 'Ready', meaning: 'All agents of this cluster have it.' }],
});

export type HistoryPolicy = KindObject<'HistoryPolicy', HistoryPolicySpec, HistoryPolicyStatus>;
export type HistoryPolicySpec = FrozenStatic<typeof spec>;
export type HistoryPolicyStatus = FrozenStatic<typeof status>;
export const historyPolicies = resourceOf<HistoryPolicy>(historyPolicyKind);
