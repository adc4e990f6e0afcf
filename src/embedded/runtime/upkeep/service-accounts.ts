/** What every namespace has: its default service account and the cluster's certificate. */
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import { configMaps, namespaces, serviceAccounts } from '../../../kube/resources.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  create,
  decision,
  isDeleted,
  nothing,
  patch,
} from '../controller.ts';

export const rootCertificates = 'kube-root-ca.crt';

/** `caBundle` is PEM: what clients inside the cluster trust. */
export function createNamespaceBasics(caBundle: string): Controller {
  const ofNamespace = (namespace: string | undefined): readonly ObjectKey[] =>
    namespace === undefined ? [] : [{ namespace: '', name: namespace }];
  return {
    name: 'namespace-basics',
    sources: [
      { type: namespaces, keysOf: (object) => [keyOf(object)] },
      { type: serviceAccounts, keysOf: ({ metadata }) => ofNamespace(metadata.namespace) },
      {
        type: configMaps,
        keysOf: ({ metadata }) =>
          metadata.name === rootCertificates ? ofNamespace(metadata.namespace) : [],
      },
    ],
    reads: [namespaces, serviceAccounts, configMaps],
    decide: (view, key) => decideBasics(view, key, caBundle),
  };
}

export function decideBasics(view: View, key: ObjectKey, caBundle: string): Decision {
  const namespace = view.get(namespaces, key);
  if (namespace === undefined || isDeleted(namespace)) return nothing;
  const inside = key.name;
  const actions: Action[] = [];
  if (view.get(serviceAccounts, { namespace: inside, name: 'default' }) === undefined) {
    actions.push(create(serviceAccounts, { metadata: { namespace: inside, name: 'default' } }));
  }
  const data = { 'ca.crt': caBundle };
  const map = view.get(configMaps, { namespace: inside, name: rootCertificates });
  if (map === undefined) {
    const metadata = { namespace: inside, name: rootCertificates };
    actions.push(create(configMaps, { metadata, data }));
  } else if (map.data?.['ca.crt'] !== caBundle) {
    actions.push(patch(configMaps, map, { data }));
  }
  return decision(actions);
}
