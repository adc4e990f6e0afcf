/** The embedded API server: from a request to the part that answers it. */
import { AssertionFailure } from '../../base/errors.ts';
import type { KubeRequest, KubeResponse } from '../../kube/transport.ts';
import type { SchemaLibrary } from '../schema/api.ts';
import type { ApiServer, ApiServerOptions, UserInfo } from './api.ts';
import { bootstrap } from './bootstrap.ts';
import { serveDefinitions } from './definitions.ts';
import { deleteCollection, deleteObject } from './deleting.ts';
import { makeDiscovery } from './discovery.ts';
import type { Call, Kernel } from './kernel.ts';
import { getObject, listObjects } from './reading.ts';
import { Registry } from './registry.ts';
import { parseRequest, type RequestInfo, type Target } from './request.ts';
import { statusResponse, warningHeader } from './response.ts';
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
  const kernel: Kernel = {
    clock,
    random,
    log,
    library,
    store,
    registry,
    authorizer: { decide: () => ({ allowed: true, reason: '' }) },
    readLog: options.readLog,
    stopping: stop.signal,
  };
  bootstrap(kernel);
  const discovery = makeDiscovery(kernel);
  const authenticate = authenticator(options);
  let inFlight = 0;

  async function handle(request: KubeRequest, proven: UserInfo | undefined): Promise<KubeResponse> {
    if (stop.signal.aborted) return statusResponse(closing());
    if (inFlight >= inFlightMax) return statusResponse(tooManyRequests());
    inFlight += 1;
    try {
      const user = proven ?? authenticate(request);
      if (user === undefined) throw unauthorized();
      const info = parseRequest(request);
      return info.target === undefined
        ? await discovery(info, user)
        : await serve(kernel, info, info.target, user);
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

function authenticator(options: ApiServerOptions): (request: KubeRequest) => UserInfo | undefined {
  return (request) => {
    const found = /^bearer\s+(\S+)$/i.exec(request.headers['authorization'] ?? '');
    const token = found?.[1];
    return token === undefined ? undefined : options.authenticate?.(token);
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
  if (resource === undefined) throw noSuchResource();
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
  if (target.subresource === 'status' && served.subresources.status) return routeStatus(call);
  if (target.subresource !== '') throw noSuchResource();
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
      return updateObject(call);
    case 'patch':
      return patchObject(call);
    case 'delete':
      return deleteObject(call);
    case 'deletecollection':
      return deleteCollection(call);
  }
}

function routeStatus(call: Call): KubeResponse {
  switch (call.target.verb) {
    case 'get':
      return getObject(call);
    case 'update':
      return updateObject(call);
    case 'patch':
      return patchObject(call);
    default:
      throw methodNotAllowed();
  }
}
