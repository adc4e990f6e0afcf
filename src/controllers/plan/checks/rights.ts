/** Rights that the controller lacks, as rules that can be pasted into a Role. */
import type { MissingRight } from '../observation.ts';
import type { Check } from './check.ts';

function ruleText({ cluster, namespace, group, resource, verbs }: MissingRight): string {
  const words = (list: readonly string[]) => list.map((word) => JSON.stringify(word)).join(', ');
  const rule = `apiGroups: [${words([group])}], resources: [${words([resource])}]`;
  const where = namespace === '' ? cluster : `namespace ${namespace} of ${cluster}`;
  return `in ${where}: {${rule}, verbs: [${words(verbs)}]}`;
}

export const rightChecks: readonly Check[] = [
  {
    id: 'MissingRights',
    category: 'Error',
    remedy: 'Grant the rules to the account with which Transship comes to that cluster.',
    find: ({ seen: { missingRights } }) => missingRights?.map(ruleText),
  },
  {
    id: 'UnreadableKinds',
    category: 'Warning',
    remedy: 'Grant list and get on them, or list them in resources.exclude.',
    find: ({ seen: { seenSource } }) => {
      const survey = seenSource?.survey;
      if (survey === undefined) return undefined;
      const all = [...survey.inventory.unreadable, ...survey.needs.unreadable];
      return all.map(({ group, plural, namespace, message }) => {
        const name = group === '' ? plural : `${plural}.${group}`;
        return `${name}${namespace === '' ? '' : ` in ${namespace}`}: ${message}`;
      });
    },
  },
];
