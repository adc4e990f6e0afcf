/** An API server that counts what it is asked, by whom: what a teleport costs is known by it. */
import type { Metrics } from '../../base/ports.ts';
import type { ApiServer, UserInfo } from '../../embedded/server/api.ts';
import type { KubeRequest } from '../../kube/transport.ts';

/** `watch` for requests that stay open, else the method in the words of RBAC. */
const verbs: Readonly<Record<KubeRequest['method'], string>> = {
  GET: 'read',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

const watchPattern = /[?&]watch=(true|1)\b/;

/** `clientOf` says which of a few words a user is counted under. */
export function counted(
  server: ApiServer,
  metrics: Metrics,
  clientOf: (user: UserInfo | undefined) => string,
): ApiServer {
  return {
    handle: (request, user) => {
      const verb = watchPattern.test(request.path) ? 'watch' : verbs[request.method];
      metrics.add('transship_api_requests_total', 1, { client: clientOf(user), verb });
      return server.handle(request, user);
    },
    close: () => server.close(),
  };
}
