/** What pods have beyond other objects: logs, binding to a node, eviction. */
import { TransshipError } from '../../base/errors.ts';
import type { KubeResponse } from '../../kube/transport.ts';
import type { JsonObject } from '../schema/api.ts';
import type { PodLogRequest } from './api.ts';
import { bodyObject } from './body.ts';
import { storeChanged } from './change.ts';
import { deleteEntry, optionsFrom } from './deleting.ts';
import { metaOf, nameOf, objectAt, objectsAt, textAt, withMeta } from './json.ts';
import { type Call, timeText } from './kernel.ts';
import { objectOf } from './present.ts';
import { countParameter, isTrue } from './request.ts';
import { objectResponse } from './response.ts';
import { badRequest, conflict, internalError } from './status.ts';
import { writeOptions } from './write-options.ts';
import { requireBody, requireEntry } from './writing.ts';

export async function readPodLog(call: Call): Promise<KubeResponse> {
  const { kernel, target } = call;
  const pod = objectOf(kernel.store, call.resource, requireEntry(call));
  if (kernel.readLog === undefined) throw internalError('this server has no logs');
  const request = logRequest(call, pod);
  try {
    const body = await kernel.readLog(request);
    return { status: 200, headers: { 'content-type': 'text/plain' }, body };
  } catch (error) {
    if (!(error instanceof TransshipError)) throw error;
    const container = `container "${request.container}" in pod "${target.name}"`;
    throw badRequest(`${container}: ${error.message}`);
  }
}

function logRequest({ info, target }: Call, pod: JsonObject): PodLogRequest {
  const { query, request } = info;
  const sinceSeconds = countParameter(query, 'sinceSeconds');
  const sinceTime = query.get('sinceTime') ?? undefined;
  if (sinceSeconds !== undefined && sinceTime !== undefined) {
    throw badRequest('at most one of `sinceTime` or `sinceSeconds` may be specified');
  }
  return {
    namespace: target.namespace,
    pod: target.name,
    container: containerOf(pod, query.get('container') ?? ''),
    follow: isTrue(query.get('follow')),
    previous: isTrue(query.get('previous')),
    tailLines: countParameter(query, 'tailLines'),
    sinceTime,
    timestamps: isTrue(query.get('timestamps')),
    limitBytes: countParameter(query, 'limitBytes'),
    signal: request.signal,
  };
}

function containerOf(pod: JsonObject, asked: string): string {
  const spec = objectAt(pod, 'spec');
  const names = objectsAt(spec, 'containers').map((container) => textAt(container, 'name'));
  const initial = objectsAt(spec, 'initContainers').map((one) => textAt(one, 'name'));
  const [only] = names;
  if (asked === '') {
    if (names.length === 1 && only !== undefined) return only;
    throw badRequest(
      `a container name must be specified for pod ${nameOf(pod)}, choose one of: ` +
        `[${names.join(' ')}]` +
        (initial.length === 0 ? '' : ` or one of the init containers: [${initial.join(' ')}]`),
    );
  }
  if (names.includes(asked) || initial.includes(asked)) return asked;
  throw badRequest(`container ${asked} is not valid for pod ${nameOf(pod)}`);
}

/** Puts a pod on a node, once. */
export function bindPod(call: Call): KubeResponse {
  const node = textAt(objectAt(requireBody(call), 'target'), 'name');
  if (node === '') throw badRequest('target.name: Required value');
  const entry = requireEntry(call);
  const pod = objectOf(call.kernel.store, call.resource, entry);
  const bound = textAt(objectAt(pod, 'spec'), 'nodeName');
  if (bound !== '') {
    const why = `pod ${nameOf(pod)} is already assigned to node "${bound}"`;
    throw conflict({ group: '', plural: 'pods/binding', kind: 'Binding' }, nameOf(pod), why);
  }
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: timeText(call.kernel.clock),
  };
  const status = objectAt(pod, 'status');
  const others = objectsAt(status, 'conditions').filter((one) => one['type'] !== 'PodScheduled');
  const given = {
    ...withMeta(pod, { resourceVersion: String(entry.version) }),
    spec: { ...objectAt(pod, 'spec'), nodeName: node },
    status: { ...status, conditions: [...others, scheduled] },
  };
  storeChanged({ call, options: writeOptions(call), entry, given, managed: undefined });
  return success(201);
}

/** Deletes the pod. There are no disruption budgets to ask here: nothing drains a node. */
export function evictPod(call: Call): KubeResponse {
  const body = bodyObject(call.info) ?? {};
  const entry = requireEntry(call);
  const name = textAt(metaOf(body), 'name');
  if (name !== '' && name !== call.target.name) {
    throw badRequest('name in URL does not match name in Eviction object');
  }
  deleteEntry(call, entry, optionsFrom(objectAt(body, 'deleteOptions'), call.info.query));
  return success(201);
}

function success(code: number): KubeResponse {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code };
  return objectResponse(code, status);
}
