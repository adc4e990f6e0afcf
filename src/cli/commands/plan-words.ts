/** The words of `plan create` and `plan edit` as fields of a Plan. Pure: nothing is asked here. */
import type { PlanSpec } from '../../api/kinds/plan.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { exactSize, parseVolumeSize } from '../../base/units.ts';
import { type LabelRequirement, parseLabelRequirements } from '../../kube/selectors.ts';
import type { RateOption } from '../command.ts';

export type PlanVolume = NonNullable<PlanSpec['volumes']>[number];
export type PlanNamespace = PlanSpec['namespaces'][number];
type ExistingRule = NonNullable<PlanSpec['existing']>[number];
export type PlanHook = NonNullable<PlanSpec['hooks']>[number];

/** As commander gives them; each was parsed by the function of its name below. */
export interface PlanFlags extends RateOption {
  readonly from?: string;
  readonly to?: string;
  readonly type?: PlanSpec['type'];
  readonly volume?: readonly PlanVolume[];
  readonly mapClass?: readonly Pair[];
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly selector?: string;
  readonly mapImage?: readonly Pair[];
  readonly images?: PlanSpec['images'];
  readonly hook?: readonly PlanHook[];
  readonly quiesce?: boolean;
  readonly liveMigrate?: boolean;
  readonly repository?: string;
  readonly onFailure?: PlanSpec['onFailure'];
  readonly existing?: readonly ExistingRule[];
}

export interface Pair {
  readonly from: string;
  readonly to: string;
}

/** Options that may be given again: each adds to those before. */
export function several<T>(parse: (text: string) => T): (text: string, before?: unknown) => T[] {
  return (text, before = []) => [...(before as readonly T[]), parse(text)];
}

/** `shop` or `shop:shop-copy`. */
export function parseNamespace(text: string): PlanNamespace {
  const [name = '', to, ...rest] = text.split(':');
  if (rest.length > 0) fail('BadArgument', `${text}: write NAMESPACE or NAMESPACE:NEW`);
  checkName(name, 'namespace');
  return to === undefined ? { name } : { name, to: checkName(to, 'namespace') };
}

/** `old=new`; the first `=` parts them. */
export function parsePair(flag: string): (text: string) => Pair {
  return (text) => {
    const at = text.indexOf('=');
    const from = text.slice(0, at).trim();
    const to = text.slice(at + 1).trim();
    if (at < 0 || from === '' || to === '') fail('BadArgument', `${flag} ${text}: write OLD=NEW`);
    return { from, to };
  };
}

export const hookPhases = ['PreBackup', 'PostBackup', 'PreRestore', 'PostRestore'] as const;

/** `quiet-db@PreBackup`; the case of the phase does not matter. */
export function parseHook(text: string): PlanHook {
  const [hook = '', word = '', ...rest] = text.split('@');
  const phase = hookPhases.find((known) => known.toLowerCase() === word.toLowerCase());
  if (phase === undefined || rest.length > 0) {
    fail('BadArgument', `--hook ${text}: write NAME@PHASE with one of ${hookPhases.join(', ')}`);
  }
  return { hook: checkName(hook, 'hook'), phase };
}

const methodWords: Readonly<Record<string, Pick<PlanVolume, 'action' | 'method'>>> = {
  auto: { action: 'Copy' },
  copy: { action: 'Copy' },
  teleport: { action: 'Copy', method: 'Teleport' },
  snapshot: { action: 'Copy', method: 'Snapshot' },
  block: { action: 'Copy', method: 'Block' },
  filesystem: { action: 'Copy', method: 'Filesystem' },
  move: { action: 'Move' },
  skip: { action: 'Skip' },
};

/** What can be said of a volume in one word, for messages and questions. */
export const volumeWords: readonly string[] = Object.keys(methodWords);

/** One of `volumeWords` as fields; undefined for any other word. */
export function methodOfWord(word: string): Pick<PlanVolume, 'action' | 'method'> | undefined {
  const key = word.toLowerCase();
  return Object.hasOwn(methodWords, key) ? methodWords[key] : undefined;
}

/** `shop/data=filesystem,class=fast,name=data2,size=20Gi,verify`. */
export function parseVolume(text: string): PlanVolume {
  const wrong = (why: string): never => fail('BadArgument', `--volume ${text}: ${why}`);
  const at = text.indexOf('=');
  const [namespace = '', claim, ...more] = (at < 0 ? text : text.slice(0, at)).split('/');
  if (at < 0 || claim === undefined || more.length > 0) {
    return wrong('write NAMESPACE/CLAIM=METHOD, such as shop/data=teleport');
  }
  const [word = '', ...extras] = text.slice(at + 1).split(',');
  const chosen = methodOfWord(word) ?? wrong(`${word} is none of ${volumeWords.join(', ')}`);
  let volume: PlanVolume = {
    namespace: checkName(namespace, 'namespace'),
    claim: checkName(claim, 'claim'),
    ...chosen,
  };
  for (const extra of extras) volume = { ...volume, ...volumeExtra(extra, wrong) };
  return volume;
}

function volumeExtra(extra: string, wrong: (why: string) => never): Partial<PlanVolume> {
  const [key = '', ...rest] = extra.split('=');
  const value = rest.join('=');
  if (key === 'verify' && rest.length === 0) return { verify: true };
  if (value === '') return wrong(`${extra} is none of class=, name=, size=, mode=, verify`);
  switch (key) {
    case 'class':
      return { storageClass: checkName(value, 'storage class') };
    case 'name':
      return { name: checkName(value, 'claim') };
    case 'size':
      return { size: exactSize(parseVolumeSize(value)) };
    case 'mode':
      if (value === 'Filesystem' || value === 'Block') return { volumeMode: value };
      return wrong('mode= is Filesystem or Block');
    default:
      return wrong(`${extra} is none of class=, name=, size=, mode=, verify`);
  }
}

type Selector = NonNullable<NonNullable<PlanSpec['resources']>['labelSelector']>;

/** kubectl's text of a selector in the form that objects have. */
export function parseSelector(text: string): Selector {
  const matchExpressions = parseLabelRequirements(text).map((requirement: LabelRequirement) => {
    const { key, operator, values } = requirement;
    if (operator === 'Gt' || operator === 'Lt') {
      return fail('BadArgument', `--selector ${text}: plans compare labels with words only`);
    }
    return { key, operator, ...(values.length === 0 ? {} : { values: [...values] }) };
  });
  return { matchExpressions };
}

/** `configmaps=keep`; `*` stands for all kinds. */
export function parseExisting(text: string): ExistingRule {
  const { from: resource, to: word } = parsePair('--existing')(text);
  const policies = ['Fail', 'Keep', 'Update'] as const;
  const policy = policies.find((known) => known.toLowerCase() === word.toLowerCase());
  if (policy !== undefined) return { resource, policy };
  return fail('BadArgument', `--existing ${text}: write KIND=fail, KIND=keep or KIND=update`);
}
