/** The embedded API server: from a request to the part that answers it. */
import { AssertionFailure } from '../../base/errors.ts';
import type { KubeRequest, KubeResponse } from '../../kube/transport.ts';
import type { SchemaLibrary } from '../schema/api.ts';
import type { ApiServer, ApiServerOptions, UserInfo } from './api.ts';
import { impersonated, makeIdentify, requireAllowed, userOf } from './access.ts';
import { aggregateRoles } from './aggregation.ts';
import { bootstrap } from './bootstrap.ts';
import { cleanDefinitions } from './definition-cleanup.ts';
import { serveDefinitions } from './definitions.ts';
import { deleteCollection, deleteObject } from './deleting.ts';
import { makeDiscovery } from './discovery.ts';
import { type Call, type Kernel, uuid } from './kernel.ts';
import { getObject, listObjects } from './reading.ts';
import { Rbac } from './rbac.ts';
import { Registry } from './registry.ts';
import { parseRequest, type RequestInfo, type Target } from './request.ts';
import { statusResponse, warningHeader } from './response.ts';
import { answerReview, findReview } from './reviews.ts';
import {
  closing,
  internalError,
  methodNotAllowed,
  noSuchResource,
  StatusError,
  tooManyRequests,
  unauthorized,
} from './status.ts';
import { Store } from './store.ts';
import { TokenIssuer } from './tokens.ts';
import { answerSubresource } from './subresources.ts';
import { watchObjects } from './watch.ts';
import { createObject, patchObject, updateObject } from './writing.ts';

/** Requests at once, watches not counted; the next ones are told to come again. */
const inFlightMax = 400;

/** Throws what the persistence throws when its state cannot be read. */
export function createApiServer(
  options: ApiServerOptions & { readonly library: SchemaLibrary },
): ApiServer {
  const { clock, random, log, library, persistence } = options;
  const store = new Store(persistence, options.historyMax);
  const registry = new Registry(library.builtIns());
  serveDefinitions(store, registry, library);
  const stop = new AbortController();
  const tokens = new TokenIssuer(store, clock, random);
  const identify = makeIdentify(tokens, options.authenticate);
  const kernel: Kernel = {
    clock,
    random,
    log,
    library,
    store,
    registry,
    authorizer: new Rbac(store),
    tokens,
    identify,
    readLog: options.readLog,
    tolerationSeconds: options.tolerationSeconds ?? 300,
    stopping: stop.signal,
  };
  bootstrap(kernel);
  aggregateRoles(store);
  cleanDefinitions(kernel);
  const discovery = makeDiscovery(kernel);
  const start = uuid(random);
  let answered = 0;
  let inFlight = 0;

  async function handle(request: KubeRequest, proven: UserInfo | undefined): Promise<KubeResponse> {
    const response = await answer(request, proven);
    // So that a line in a client's log and one in ours can be told to be of the same request.
    answered += 1;
    const id = `${start}-${answered}`;
    return { ...response, headers: { ...response.headers, 'audit-id': id } };
  }

  async function answer(request: KubeRequest, proven: UserInfo | undefined): Promise<KubeResponse> {
    if (stop.signal.aborted) return statusResponse(closing());
    if (inFlight >= inFlightMax) return statusResponse(tooManyRequests());
    inFlight += 1;
    try {
      const user = userOf(request, proven, identify);
      if (user === undefined) throw unauthorized();
      const info = parseRequest(request);
      const acting = impersonated(kernel.authorizer, user, info);
      requireAllowed(kernel.authorizer, acting, info);
      return info.target === undefined
        ? discovery(info)
        : await serve(kernel, info, info.target, acting);
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      return failed(kernel, request, error);
    } finally {
      inFlight -= 1;
    }
  }

  return {
    handle,
    close: async () => {
      stop.abort();
      await Promise.resolve();
      persistence.close();
    },
  };
}

function failed(kernel: Kernel, request: KubeRequest, error: unknown): KubeResponse {
  if (error instanceof StatusError) return statusResponse(error);
  const message = error instanceof Error ? error.message : String(error);
  const { method, path } = request;
  const [where] = path.split('?');
  const stack = error instanceof Error ? error.stack : undefined;
  kernel.log.log('error', 'request failed', { method, path: where, message, stack });
  return statusResponse(internalError(message));
}

async function serve(
  kernel: Kernel,
  info: RequestInfo,
  target: Target,
  user: UserInfo,
): Promise<KubeResponse> {
  const resource = kernel.registry.find(target.group, target.version, target.plural);
  if (resource === undefined) {
    const review = findReview(target);
    if (review === undefined) throw noSuchResource();
    return answerReview({ kernel, info, target, user }, review);
  }
  const call: Call = { kernel, info, target, resource, user, warnings: [] };
  const response = await route(call);
  const warning = warningHeader(call.warnings);
  return { ...response, headers: { ...response.headers, ...warning } };
}

function route(call: Call): KubeResponse | Promise<KubeResponse> {
  const { target, resource } = call;
  const { served } = resource;
  const isNamed = target.name !== '';
  if (target.namespace !== '' && !served.namespaced) throw noSuchResource();
  if (isNamed && served.namespaced && target.namespace === '') throw noSuchResource();
  if (target.subresource !== '') return answerSubresource(call);
  switch (target.verb) {
    case 'get':
      return getObject(call);
    case 'list':
      return listObjects(call);
    case 'watch':
      return watchObjects(call);
    case 'create':
      if (isNamed) throw methodNotAllowed();
      if (served.namespaced && target.namespace === '') throw methodNotAllowed();
      return createObject(call);
    case 'update':
      if (!isNamed) throw methodNotAllowed();
      return updateObject(call);
    case 'patch':
      if (!isNamed) throw methodNotAllowed();
      return patchObject(call);
    case 'delete':
      return deleteObject(call);
    case 'deletecollection':
      return deleteCollection(call);
  }
}
