/** The pods of a copy by way of a repository: one saves, and when it is done another restores. */
import type { Pod } from '../kube/workloads.ts';
import { type MoverPodOptions, placesOf, podOf } from './pods.ts';
import type { BackupConfig, RestoreConfig } from './restic-config.ts';

export type ResticWork = 'backup' | 'restore';

/** The source is mounted read-only. Attempts are made inside, so the pod runs once. */
export function resticPod(
  work: ResticWork,
  options: MoverPodOptions & { readonly claim: string },
): Pod {
  const { secret, volume } = placesOf(options.name);
  const isSource = work === 'backup';
  const claim = { claimName: options.claim };
  const mount = { name: 'volume', mountPath: volume, ...(isSource ? { readOnly: true } : {}) };
  return podOf(options, {
    side: isSource ? 'client' : 'server',
    words: [work, '--config', `${secret}/config.json`],
    volumes: [{ name: 'volume', persistentVolumeClaim: claim }],
    mounts: [mount],
    ports: {},
    restartPolicy: 'Never',
  });
}

type Placed<T> = Omit<T, 'state' | 'volume'>;

/** What `config.json` of such a pod's Secret holds. */
export function resticConfigText(
  pod: string,
  config: Placed<BackupConfig> | Placed<RestoreConfig>,
): string {
  const { state, volume } = placesOf(pod);
  return JSON.stringify({ ...config, state: `${state}/state`, volume });
}
