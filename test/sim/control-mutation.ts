/** Where a control plane can be broken on purpose: the doors of its processes. */
import type { ControlClient } from '../../src/api/control-client.ts';
import type { Clock } from '../../src/base/ports.ts';
import type { KubeTransport } from '../../src/kube/transport.ts';
import type { PoolApi } from '../../src/volume/api.ts';

export interface ControlMutation {
  readonly pool?: (pool: PoolApi) => PoolApi;
  readonly transport?: (transport: KubeTransport, cluster: string) => KubeTransport;
  readonly agent?: (client: ControlClient) => ControlClient;
  readonly clock?: (clock: Clock) => Clock;
  /** The faults that make it show, by name; all of them when absent. */
  readonly faults?: readonly string[];
}
