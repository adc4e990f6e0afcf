/** OpenAPI documents: `/openapi/v2`, and `/openapi/v3` with one document per group and version. */
import { createHash } from 'node:crypto';
import type { KubeResponse } from '../../kube/transport.ts';
import type { ServedResource } from '../schema/api.ts';
import type { Kernel } from './kernel.ts';
import type { RequestInfo } from './request.ts';
import { objectResponse, tagged } from './response.ts';
import { notAcceptable, noSuchResource } from './status.ts';

interface Document {
  /** What it was made of. */
  readonly resources: readonly ServedResource[];
  readonly text: string;
  readonly hash: string;
}

export function makeOpenApi(kernel: Kernel): (info: RequestInfo, path: string) => KubeResponse {
  const { registry, library } = kernel;
  /** By path, such as `apis/apps/v1`; made when somebody asks. */
  const documents = new Map<string, Document>();

  function documentOf(place: string): Document {
    const resources = registry.all().filter((one) => place === '' || placeOf(one) === place);
    if (resources.length === 0) throw noSuchResource();
    const known = documents.get(place);
    if (known !== undefined && isSameList(known.resources, resources)) return known;
    const object = place === '' ? library.openApiV2(resources) : library.openApiV3(resources);
    const text = JSON.stringify(object);
    const made = { resources, text, hash: hashOf(text) };
    documents.set(place, made);
    return made;
  }

  function index(): object {
    const places = [...new Set(registry.all().map(placeOf))].toSorted();
    const paths = Object.fromEntries(
      places.map((place) => {
        const serverRelativeURL = `/openapi/v3/${place}?hash=${documentOf(place).hash}`;
        return [place, { serverRelativeURL }];
      }),
    );
    return { paths };
  }

  function second(info: RequestInfo): KubeResponse {
    requireJson(info);
    const { text } = documentOf('');
    return tagged(info, text, 'application/json');
  }

  return (info, path) => {
    if (path === '/openapi/v2') return second(info);
    if (path === '/openapi/v3') return objectResponse(200, index());
    if (!path.startsWith('/openapi/v3/')) throw noSuchResource();
    const { text } = documentOf(path.slice('/openapi/v3/'.length));
    return tagged(info, text, 'application/json');
  };
}

/** Some clients only read these documents as protobuf; they say so, and get a clear answer. */
function requireJson(info: RequestInfo): void {
  const accept = info.request.headers['accept'] ?? '*/*';
  if (/json|\*\/\*|application\/\*/.test(accept) || accept === '') return;
  throw notAcceptable(['application/json']);
}

function isSameList(a: readonly ServedResource[], b: readonly ServedResource[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}

function placeOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

function hashOf(text: string): string {
  return createHash('sha512').update(text).digest('hex').toUpperCase();
}
