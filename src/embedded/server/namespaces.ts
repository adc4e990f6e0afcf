/** Nothing is made in a namespace that is not there, or that is going. */
import type { Call, Kernel } from './kernel.ts';
import { isDeleting } from './registry.ts';
import { failure, notFound, qualified } from './status.ts';

export const namespaceCollection = '//namespaces/';

export function namespaceKey(name: string): string {
  return `${namespaceCollection}/${name}`;
}

export function namespaceExists(kernel: Kernel, name: string): boolean {
  return kernel.store.get(namespaceKey(name)) !== undefined;
}

/** Throws 404 or 403, as the NamespaceLifecycle admission of Kubernetes does. */
export function requireOpenNamespace(call: Call, name: string): void {
  const { namespace } = call.target;
  const found = call.kernel.store.getObject(namespaceKey(namespace));
  if (found === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
  if (!isDeleting(found)) return;
  const { served } = call.resource;
  const why =
    `unable to create new content in namespace ${namespace} because it is being ` + 'terminated';
  throw failure({
    code: 403,
    reason: 'Forbidden',
    message: `${qualified(served)} "${name}" is forbidden: ${why}`,
    details: {
      name,
      ...(served.group === '' ? {} : { group: served.group }),
      kind: served.plural,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    },
  });
}
