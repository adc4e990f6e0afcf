/** Who the driver is and what it can, by the CSI specification's Identity service. */
import { driver } from '../controllers/labels.ts';
import { expansionModes, pluginServices } from './wire/messages.ts';
import type { Answers, identity } from './wire/services.ts';

export interface IdentityOptions {
  readonly version: string;
  /** Whether this process answers for the cluster, beside its node. */
  readonly hasController: boolean;
  /** Rejects with why the driver can do nothing now. */
  readonly probe: () => Promise<void>;
}

export function identityServer(options: IdentityOptions): Answers<typeof identity> {
  const services = options.hasController
    ? Object.values(pluginServices)
    : [pluginServices.topology];
  return {
    GetPluginInfo: async () => ({ name: driver, vendorVersion: options.version }),
    GetPluginCapabilities: async () => ({
      capabilities: [
        ...services.map((type) => ({ service: { type } })),
        { volumeExpansion: { type: expansionModes.online } },
      ],
    }),
    Probe: async () => {
      await options.probe();
      return { ready: { value: true } };
    },
  };
}
