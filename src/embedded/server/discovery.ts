/** Paths that are about the server itself: what it serves, its version, its health. */
import type { KubeResponse } from '../../kube/transport.ts';
import { aggregated, groupList, groupOf, resourceList, versions } from './discovery-lists.ts';
import type { Kernel } from './kernel.ts';
import { negotiate } from './negotiation.ts';
import { makeOpenApi } from './openapi.ts';
import type { RequestInfo } from './request.ts';
import { objectResponse, tagged, textResponse } from './response.ts';
import { methodNotAllowed, noSuchResource } from './status.ts';
import { versionInfo } from './version.ts';

const healthPaths: ReadonlySet<string> = new Set(['/healthz', '/livez', '/readyz']);

const rootPaths = [
  '/api',
  '/api/v1',
  '/apis',
  '/healthz',
  '/livez',
  '/openapi/v2',
  '/openapi/v3',
  '/readyz',
  '/version',
];

/** Answers whatever names no resource. */
export function makeDiscovery(kernel: Kernel): (info: RequestInfo) => KubeResponse {
  const openApi = makeOpenApi(kernel);
  return (info) => {
    if (info.request.method !== 'GET') throw methodNotAllowed();
    const path = info.path.replace(/\/+$/, '');
    if (path === '') return objectResponse(200, { paths: rootPaths });
    if (path === '/version') return objectResponse(200, versionInfo);
    if (healthPaths.has(path)) return textResponse(200, healthText(path, info.query));
    if (path.startsWith('/openapi/')) return openApi(info, path);
    if (path === '/api' || path === '/apis') return topLevel(kernel, info, path === '/api');
    const parts = path.split('/').slice(1);
    const found = listOf(kernel, parts);
    if (found === undefined) throw noSuchResource();
    return objectResponse(200, found);
  };
}

/** Whoever gets an answer at all finds everything in order: state is loaded before. */
function healthText(path: string, query: URLSearchParams): string {
  if (!query.has('verbose')) return 'ok';
  return `[+]ping ok\n[+]log ok\n[+]store ok\n${path.slice(1)} check passed\n`;
}

function listOf(kernel: Kernel, [root, first = '', second]: readonly string[]): object | undefined {
  if (root === 'api' && second === undefined) return resourceList(kernel.registry, '', first);
  if (root !== 'apis') return undefined;
  if (second === undefined) return groupOf(kernel.registry, first);
  return resourceList(kernel.registry, first, second);
}

/** The old form, or everything at once, whichever the client prefers. */
function topLevel({ registry }: Kernel, info: RequestInfo, isCore: boolean): KubeResponse {
  const form = negotiate(info.request.headers['accept'], ['object', 'discovery']);
  if (form.form === 'object') return objectResponse(200, isCore ? versions() : groupList(registry));
  const text = JSON.stringify(aggregated(registry, isCore, form.version));
  const as = `g=apidiscovery.k8s.io;v=${form.version};as=APIGroupDiscoveryList`;
  return tagged(info, text, `application/json;${as}`);
}
