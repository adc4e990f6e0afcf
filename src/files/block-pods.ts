/** The pods of the method Block: a raw device at each side, and one connection. */
import type { Pod } from '../kube/workloads.ts';
import { type MoverPodOptions, placesOf, podAddress, podOf } from './pods.ts';

export interface BlockReceiverPodOptions extends MoverPodOptions {
  readonly claim: string;
  /** Reads everything again for the closing audit. */
  readonly reread: boolean;
}

/** At the destination. Serves until one copy is complete; whoever dials again goes on. */
export function blockReceiverPod(options: BlockReceiverPodOptions): Pod {
  const { device, secret } = placesOf(options.name);
  const words = ['--destination', device, '--listen', `[$(${podAddress})]:0`];
  const more = options.reread ? ['--reread'] : [];
  return podOf(options, {
    side: 'server',
    words: ['block-receive', ...words, '--certificates', secret, ...more],
    ...devicesOf(options, false),
  });
}

export interface BlockSenderPodOptions extends MoverPodOptions {
  readonly claim: string;
  readonly host: string;
  readonly port: number;
  readonly serverName: string;
}

/** In the sender's Secret: its rate, such as `100Mi` or `unlimited`. */
export const rateFile = 'rate';

/** At the source; the device is not written to. Its restarts are its attempts. */
export function blockSenderPod(options: BlockSenderPodOptions): Pod {
  const { device, secret } = placesOf(options.name);
  const { host, port, serverName } = options;
  const to = ['--to', `[${host}]:${port}`, '--server-name', serverName];
  const more = ['--rate-file', `${secret}/${rateFile}`];
  return podOf(options, {
    side: 'client',
    words: ['block-send', '--source', device, ...to, '--certificates', secret, ...more],
    ...devicesOf(options, true),
  });
}

function devicesOf(
  { name, claim }: MoverPodOptions & { readonly claim: string },
  readOnly: boolean,
) {
  const source = { claimName: claim, ...(readOnly ? { readOnly } : {}) };
  return {
    volumes: [{ name: 'volume', persistentVolumeClaim: source }],
    mounts: [],
    devices: [{ name: 'volume', devicePath: placesOf(name).device }],
    ports: {},
    restartPolicy: 'OnFailure' as const,
  };
}
