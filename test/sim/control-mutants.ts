/** Control planes that are broken on purpose, by a wrapper around one of their doors. */
import type { OperationName, RequestOf, ResponseOf } from '../../src/api/control.ts';
import type { ControlClient } from '../../src/api/control-client.ts';
import type { TeleportObject, VolumeObject } from '../../src/api/objects.ts';
import { asTransshipError } from '../../src/base/errors.ts';
import { isSourceFinalizer } from '../../src/controllers/labels.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import type { KubeRequest, KubeResponse, KubeTransport } from '../../src/kube/transport.ts';
import type { ControlMutation } from './control-mutation.ts';

export interface ControlMutant {
  readonly promise: string;
  readonly mutation: ControlMutation;
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every change that a process sends, in other words. */
function sending(promise: string, change: (body: Fields, request: KubeRequest) => Fields) {
  const transport = (next: KubeTransport): KubeTransport => {
    return (request) => {
      if (request.body === undefined) return next(request);
      const body: unknown = JSON.parse(Buffer.from(request.body).toString('utf8'));
      if (!isObject(body)) return next(request);
      return next({ ...request, body: Buffer.from(JSON.stringify(change(body, request))) });
    };
  };
  return { promise, mutation: { transport, faults: [] } };
}

function withFinalizers(body: Fields, keep: (finalizers: readonly string[]) => readonly string[]) {
  const { metadata } = body;
  if (!isObject(metadata) || !Array.isArray(metadata['finalizers'])) return body;
  const finalizers = keep(metadata['finalizers'] as readonly string[]);
  return { ...body, metadata: { ...metadata, finalizers } };
}

const isOf = ({ path }: KubeRequest, plural: string) => path.includes(`/${plural}`);

function agent(
  promise: string,
  change: (client: ControlClient) => Partial<ControlClient>,
  faults: readonly string[] = [],
) {
  const wrap = (client: ControlClient): ControlClient => ({
    cluster: client.cluster,
    call: (name, request) => client.call(name, request),
    stream: (name, request, watch) => client.stream(name, request, watch),
    ...change(client),
  });
  return { promise, mutation: { agent: wrap, faults } };
}

/** Answered as if it had been done. */
function pretending(promise: string, isMeant: (request: KubeRequest) => boolean) {
  const transport = (next: KubeTransport): KubeTransport => {
    return async (request) => (isMeant(request) ? done() : next(request));
  };
  return { promise, mutation: { transport, faults: [] } };
}

function done(): KubeResponse {
  const text = JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Success', code: 200 });
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: bytesOf(Buffer.from(text)),
  };
}

async function* bytesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function complete(volume: VolumeObject): VolumeObject {
  if (volume.status.phase !== 'Accessible') return volume;
  return { ...volume, status: { ...volume.status, phase: 'Available', missingBytes: 0 } };
}

/** What was ever seen, by the path of its list. */
type Memory = Map<string, Map<string, KubeObject>>;

/** Objects that are gone, and that a new list shows once more. */
function remembering(next: KubeTransport): KubeTransport {
  const memory: Memory = new Map();
  return async (request) => {
    const response = await next(request);
    const [path = '', query = ''] = request.path.split('?');
    if (request.method !== 'GET' || response.status !== 200) return response;
    const known = memory.get(path) ?? new Map<string, KubeObject>();
    memory.set(path, known);
    if (query.includes('watch=true')) return { ...response, body: noting(response.body, known) };
    if (!query.includes('limit=') || query.includes('continue=')) return response;
    const parts: Uint8Array[] = [];
    for await (const part of response.body) parts.push(part);
    const list = JSON.parse(Buffer.concat(parts).toString('utf8')) as { items?: KubeObject[] };
    for (const item of list.items ?? []) note(known, item);
    const items = [...known.values()];
    return { ...response, body: bytesOf(Buffer.from(JSON.stringify({ ...list, items }))) };
  };
}

function note(known: Map<string, KubeObject>, object: KubeObject): void {
  const { uid } = object.metadata;
  if (uid !== undefined) known.set(uid, object);
}

async function* noting(
  body: AsyncIterable<Uint8Array>,
  known: Map<string, KubeObject>,
): AsyncGenerator<Uint8Array> {
  let rest = '';
  for await (const part of body) {
    const lines = (rest + Buffer.from(part).toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) note(known, (JSON.parse(line) as { object: KubeObject }).object);
    yield part;
  }
}

export const controlMutants: Readonly<Record<string, ControlMutant>> = {
  'finalizer-not-added': sending(
    'a Volume object goes only after its volume at the agent',
    (body, request) =>
      isOf(request, 'volumes/')
        ? withFinalizers(body, (all) => all.filter((one) => one !== 'transship.dev/volume'))
        : body,
  ),
  'source-let-go-early': sending('a source is kept while somebody needs it', (body, request) =>
    isOf(request, 'volumes/')
      ? withFinalizers(body, (all) => all.filter((one) => !isSourceFinalizer(one)))
      : body,
  ),
  'second-volume': agent(
    'a step that is repeated makes nothing new',
    (client) => ({
      call: async <N extends OperationName>(name: N, request: RequestOf<N>) => {
        try {
          return await client.call(name, request);
        } catch (error) {
          const isLost = asTransshipError(error).reason === 'AgentUnreachable';
          if (name !== 'volume.create' || !isLost) throw error;
          const made = request as unknown as RequestOf<'volume.create'>;
          const second = { ...made, name: `${made.name.slice(0, 40)}-again` };
          return (await client.call('volume.create', second)) as ResponseOf<N>;
        }
      },
    }),
    ['agentLine'],
  ),
  'deletion-missed': {
    promise: 'a new list ends what is not in it',
    mutation: { transport: remembering, faults: ['apiCut', 'apiKill', 'apiStart'] },
  },
  'lease-by-wall-clock': {
    promise: 'a lease is judged by time that passed here',
    mutation: {
      faults: ['clockJump'],
      clock: (clock) => ({ ...clock, monotonicMs: () => clock.wallMs() }),
    },
  },
  'available-one-step-early': agent('Available means that nothing is missing', (client) => ({
    call: async <N extends OperationName>(name: N, request: RequestOf<N>) => {
      const answer: unknown = await client.call(name, request);
      if (name === 'volume.list') {
        const list = answer as { readonly items: readonly VolumeObject[] };
        return { ...list, items: list.items.map(complete) } as unknown as ResponseOf<N>;
      }
      if ((answer as TeleportObject | VolumeObject).kind !== 'Volume')
        return answer as ResponseOf<N>;
      return complete(answer as VolumeObject) as ResponseOf<N>;
    },
  })),
  'bound-volume-left': pretending(
    'what was made for a claim or a cancelled teleport goes with it',
    (request) => request.method === 'DELETE' && isOf(request, 'persistentvolumes/'),
  ),
  'deletion-not-done': agent('a volume goes with its object', (client) => ({
    call: async <N extends OperationName>(name: N, request: RequestOf<N>) => {
      if (name !== 'volume.delete') return client.call(name, request);
      const { name: volume } = request as unknown as RequestOf<'volume.delete'>;
      return (await client.call('volume.show', { name: volume })) as ResponseOf<N>;
    },
  })),
  'secret-told': sending('no secret is told', (body, request) => {
    const isStatus = isOf(request, 'clusters/') && request.path.includes('/status');
    return isStatus ? { ...body, status: { ...(body['status'] as Fields), version: told } } : body;
  }),
};

const told = 'S3CR3T';
