/** What else only the runtime reads (API reference, core/v1). */
import type { KubeObject } from '../../../kube/objects.ts';
import { namespaced } from '../../../kube/type-of.ts';

/** As older clients make them; ours are of `events.k8s.io`, and the server keeps them as one. */
export interface EventObject extends KubeObject {
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly series?: { readonly lastObservedTime?: string };
}

export const events = namespaced<EventObject>('v1', 'events', 'Event');
