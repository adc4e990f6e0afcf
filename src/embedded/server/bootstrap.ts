/** What a new cluster begins with. */
import type { JsonObject } from '../schema/api.ts';
import { type Kernel, timeText, uuid } from './kernel.ts';
import { namespaceKey } from './namespaces.ts';
import type { Draft } from './store.ts';

const firstNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;

/** Stores what is missing, in one commit. */
export function bootstrap(kernel: Kernel): void {
  const drafts: Draft[] = firstNamespaces.map((name) => ({
    key: namespaceKey(name),
    object: namespaceObject(kernel, name),
  }));
  kernel.store.commit(drafts.filter(({ key }) => kernel.store.get(key) === undefined));
}

function namespaceObject(kernel: Kernel, name: string): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      uid: uuid(kernel.random),
      creationTimestamp: timeText(kernel.clock),
      labels: { 'kubernetes.io/metadata.name': name },
    },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}
