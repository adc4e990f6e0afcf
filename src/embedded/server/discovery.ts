/** Paths that are about the server itself: what it serves, its version, its health. */
import type { KubeResponse } from '../../kube/transport.ts';
import type { UserInfo } from './api.ts';
import type { Kernel } from './kernel.ts';
import type { RequestInfo } from './request.ts';
import { objectResponse, textResponse } from './response.ts';
import { groupList, groupOf, resourceList, versions } from './discovery-lists.ts';
import { methodNotAllowed, noSuchResource } from './status.ts';
import { versionInfo } from './version.ts';

/** Answers whatever names no resource. */
export function makeDiscovery(
  kernel: Kernel,
): (info: RequestInfo, user: UserInfo) => Promise<KubeResponse> {
  return async (info) => {
    await Promise.resolve();
    if (info.request.method !== 'GET') throw methodNotAllowed();
    const path = info.path.replace(/\/+$/, '');
    const parts = path.split('/').slice(1);
    if (path === '/version') return objectResponse(200, versionInfo);
    if (['/healthz', '/livez', '/readyz'].includes(path)) return textResponse(200, 'ok');
    if (path === '/api') return objectResponse(200, versions());
    if (path === '/apis') return objectResponse(200, groupList(kernel.registry));
    const found =
      parts[0] === 'api'
        ? resourceList(kernel.registry, '', parts[1] ?? '')
        : parts[2] === undefined
          ? groupOf(kernel.registry, parts[1] ?? '')
          : resourceList(kernel.registry, parts[1] ?? '', parts[2]);
    if (found === undefined) throw noSuchResource();
    return objectResponse(200, found);
  };
}
