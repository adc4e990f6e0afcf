/** Sub-resources: which there are, who answers them. */
import type { KubeResponse } from '../../kube/transport.ts';
import type { ServedResource } from '../schema/api.ts';
import type { Call } from './kernel.ts';
import { bindPod, evictPod, readPodLog } from './pods.ts';
import { getObject } from './reading.ts';
import { answerScale } from './scale.ts';
import { methodNotAllowed, noSuchResource } from './status.ts';
import { createToken } from './token-request.ts';
import { patchObject, updateObject } from './writing.ts';

export interface Subresource {
  readonly name: string;
  readonly verbs: readonly string[];
  /** What it looks like, where that is not the resource's own kind. */
  readonly kind?: { readonly group: string; readonly version: string; readonly kind: string };
  readonly answer: (call: Call) => KubeResponse | Promise<KubeResponse>;
}

const readAndWrite = ['get', 'patch', 'update'] as const;

const statusResource: Subresource = { name: 'status', verbs: readAndWrite, answer: answerPart };

const scaleResource: Subresource = {
  name: 'scale',
  verbs: readAndWrite,
  kind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
  answer: answerScale,
};

const special: Readonly<Record<string, readonly Subresource[]>> = {
  '/namespaces': [{ name: 'finalize', verbs: ['update'], answer: answerPart }],
  '/pods': [
    {
      name: 'binding',
      verbs: ['create'],
      kind: { group: '', version: '', kind: 'Binding' },
      answer: bindPod,
    },
    {
      name: 'eviction',
      verbs: ['create'],
      kind: { group: 'policy', version: 'v1', kind: 'Eviction' },
      answer: evictPod,
    },
    { name: 'log', verbs: ['get'], answer: readPodLog },
  ],
  '/serviceaccounts': [
    {
      name: 'token',
      verbs: ['create'],
      kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
      answer: createToken,
    },
  ],
};

/** In the order in which discovery shows them. */
export function subresourcesOf(resource: ServedResource): readonly Subresource[] {
  const { status, scale } = resource.subresources;
  const own = resource.builtIn ? (special[`${resource.group}/${resource.plural}`] ?? []) : [];
  const parts = [...(status ? [statusResource] : []), ...(scale ? [scaleResource] : [])];
  if (!resource.builtIn) return parts;
  return [...own, ...parts].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export function answerSubresource(call: Call): KubeResponse | Promise<KubeResponse> {
  const { target, resource } = call;
  const found = subresourcesOf(resource.served).find(({ name }) => name === target.subresource);
  if (found === undefined) throw noSuchResource();
  // A watch of a log is a log that follows; it asks for `get`.
  const verb = target.verb === 'watch' ? 'get' : target.verb;
  if (!found.verbs.includes(verb)) throw methodNotAllowed();
  return found.answer(call);
}

/** A sub-resource that is a part of the object itself. */
function answerPart(call: Call): KubeResponse {
  if (call.target.verb === 'get') return getObject(call);
  return call.target.verb === 'update' ? updateObject(call) : patchObject(call);
}
