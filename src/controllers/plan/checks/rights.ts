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
    remedy:
      'For all namespaces run `transship cluster add` for that cluster again with --migrations. ' +
      'For single ones run there, in each: kubectl create rolebinding transship-migrate ' +
      '--namespace NAMESPACE --clusterrole transship-migrate --serviceaccount ' +
      'transship-system:peer-HUB (transship-controller where the hub is itself), make the ' +
      'namespaces at the destination first and set spec.createNamespaces to false.',
    find: ({ seen: { missingRights, seenSource } }) => {
      const hidden = seenSource?.hidden;
      if (missingRights === undefined) return undefined;
      return [...missingRights.map(ruleText), ...(hidden === undefined ? [] : [hidden])];
    },
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
