/** What a pod printed (subresource `pods/log`), as text. */
import type { KubeClient } from './api.ts';
import { exchange } from './exchange.ts';
import type { ObjectKey } from './objects.ts';
import { objectPath, queryText } from './paths.ts';
import { pods } from './workloads.ts';

export interface PodLogOptions {
  /** Needed where a pod has several. */
  readonly container?: string;
  /** Only the last ones. */
  readonly tailLines?: number;
  /** Only the first bytes of what the others leave. */
  readonly limitBytes?: number;
  /** RFC 3339: only what came since then. */
  readonly sinceTime?: string;
}

/**
 * All that is there now. `NotFound` when the pod is gone, `Invalid` when it has not begun to run,
 * `LimitExceeded` above 16 MiB.
 */
export async function readPodLog(
  client: KubeClient,
  key: ObjectKey,
  { container, tailLines, sinceTime, limitBytes }: PodLogOptions = {},
): Promise<string> {
  const query = queryText({ container, tailLines, sinceTime, limitBytes });
  const { text } = await exchange(client.connection, {
    asked: { cluster: client.cluster, verb: 'get', resource: 'pods/log', ...key },
    method: 'GET',
    path: `${objectPath(pods, key, 'log')}${query}`,
    headers: { accept: '*/*' },
  });
  return text;
}
