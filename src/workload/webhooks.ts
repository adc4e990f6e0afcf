/**
 * Admission webhooks that will see the objects when they are made: they may change or refuse them,
 * and one that is down refuses everything (Kubernetes documentation, "Dynamic Admission Control").
 */
import type { KubeClient } from '../kube/api.ts';
import type { KubeObject, ResourceType } from '../kube/objects.ts';
import { fromLabelSelectorObject, type LabelSelector } from '../kube/selectors.ts';
import { type Fields, fieldsListAt, textAt, textsAt, valueAt } from './fields.ts';
import type { Item, Unreadable } from './inventory.ts';
import type { ObjectName } from './names.ts';
import { visit } from './needs.ts';

const admission = { group: 'admissionregistration.k8s.io', version: 'v1', namespaced: false };

export const validatingWebhooks: ResourceType = {
  ...admission,
  plural: 'validatingwebhookconfigurations',
  kind: 'ValidatingWebhookConfiguration',
};

export const mutatingWebhooks: ResourceType = {
  ...admission,
  plural: 'mutatingwebhookconfigurations',
  kind: 'MutatingWebhookConfiguration',
};

export interface TouchingWebhook {
  readonly configuration: string;
  readonly webhook: string;
  readonly mutating: boolean;
  /** Objects are refused while it cannot be reached. */
  readonly failsClosed: boolean;
  /** Namespace of the service that answers, where it is one of the cluster. */
  readonly serviceNamespace: string | undefined;
  readonly touches: number;
  readonly first: ObjectName;
}

type NamespaceLabels = (namespace: string) => Readonly<Record<string, string>>;

/** Pure: which webhooks of these configurations see which of the items being created. */
export function webhooksTouching(
  configurations: readonly KubeObject[],
  items: readonly Item[],
  labelsOf: NamespaceLabels,
): readonly TouchingWebhook[] {
  return configurations.flatMap((configuration) =>
    fieldsListAt(configuration, 'webhooks').flatMap((webhook) => {
      const touched = items.filter((item) => touches(webhook, item, labelsOf));
      const [first] = touched;
      if (first === undefined) return [];
      return [
        {
          configuration: configuration.metadata.name ?? '',
          webhook: textAt(webhook, 'name') ?? '',
          mutating: configuration.kind === mutatingWebhooks.kind,
          failsClosed: webhook['failurePolicy'] !== 'Ignore',
          serviceNamespace: textAt(webhook, 'clientConfig', 'service', 'namespace'),
          touches: touched.length,
          first: first.name,
        },
      ];
    }),
  );
}

function touches(webhook: Fields, item: Item, labelsOf: NamespaceLabels): boolean {
  const { type, labels, name } = item;
  if (!fieldsListAt(webhook, 'rules').some((rule) => isAbout(rule, type))) return false;
  const selects = (field: string, found: Readonly<Record<string, string>>): boolean => {
    const selector = valueAt(webhook, [field]);
    return selector === undefined || fromLabelSelectorObject(selector as LabelSelector)(found);
  };
  if (!selects('objectSelector', labels)) return false;
  // Objects without a namespace are not selected by namespaces.
  return name.namespace === '' || selects('namespaceSelector', labelsOf(name.namespace));
}

function isAbout(rule: Fields, { group, version, plural, namespaced }: ResourceType): boolean {
  const has = (field: string, ...words: readonly string[]): boolean => {
    const list = textsAt(rule, field);
    return words.some((word) => list.includes(word));
  };
  const scope = textAt(rule, 'scope') ?? '*';
  return (
    has('operations', 'CREATE', '*') &&
    has('apiGroups', group, '*') &&
    has('apiVersions', version, '*') &&
    has('resources', plural, '*', '*/*') &&
    (scope === '*' || (scope === 'Namespaced') === namespaced)
  );
}

export interface WebhooksFound {
  readonly webhooks: readonly TouchingWebhook[];
  /** Tenants may not read them; then nobody knows which there are. */
  readonly unreadable: readonly Unreadable[];
}

/** Reads the configurations of a cluster; one without such kinds has none. */
export async function findWebhooks(
  client: KubeClient,
  items: readonly Item[],
  labelsOf: NamespaceLabels,
): Promise<WebhooksFound> {
  const webhooks: TouchingWebhook[] = [];
  const unreadable: Unreadable[] = [];
  for (const type of [mutatingWebhooks, validatingWebhooks]) {
    const refused = await visit(client, type, (one) => {
      webhooks.push(...webhooksTouching([one], items, labelsOf));
    });
    unreadable.push(...refused.filter(({ reason }) => reason !== 'NotFound'));
  }
  return { webhooks, unreadable };
}
