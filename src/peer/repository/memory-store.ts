/** For tests: a place in memory that fails, dies and damages as it is told. */
import { fail, TransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import type { GetOptions, ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';

export interface MemoryObjectStore extends ObjectStore {
  readonly objects: Map<string, { bytes: Uint8Array; modifiedMs: number }>;
  /** What was asked, as `put NAME`, oldest first. */
  readonly calls: string[];
  /** Undefined: the call goes on. `lost`: it is done, and its answer is lost. */
  fault: (call: string) => TransshipError | 'lost' | undefined;
  names(prefix: string): string[];
  /** Changes one byte in the middle. */
  damage(name: string, at?: number): void;
}

const unreachable = () => new TransshipError('RepositoryUnreachable', 'nobody answers');

export function createMemoryObjectStore(clock: Pick<Clock, 'wallMs'>): MemoryObjectStore {
  const objects: MemoryObjectStore['objects'] = new Map();
  const calls: string[] = [];
  const around = async <T>(call: string, signal: AbortSignal | undefined, run: () => T) => {
    signal?.throwIfAborted();
    calls.push(call);
    const fault = store.fault(call);
    if (fault !== undefined && fault !== 'lost') throw fault;
    const result = run();
    if (fault === 'lost') throw unreachable();
    return result;
  };
  const store: MemoryObjectStore = {
    place: 'memory',
    objects,
    calls,
    fault: () => undefined,
    names: (prefix) => [...objects.keys()].filter((name) => name.startsWith(prefix)).toSorted(),
    damage: (name, at) => {
      const object = objects.get(name) ?? fail('NotFound', name);
      const bytes = new Uint8Array(object.bytes);
      const place = at ?? Math.floor(bytes.length / 2);
      bytes[place] = bytes[place]! ^ 0xff;
      objects.set(name, { ...object, bytes });
    },
    put: (name, parts, { ifAbsent, signal }: PutOptions = {}) =>
      around(`put ${name}`, signal, () => {
        if (ifAbsent === true && objects.has(name)) fail('AlreadyExists', name);
        const bytes = new Uint8Array(Buffer.concat(parts));
        objects.set(name, { bytes, modifiedMs: clock.wallMs() });
      }),
    get: (name, { offset = 0, lengthBytes, signal }: GetOptions = {}) =>
      around(`get ${name}`, signal, () => {
        const { bytes } = objects.get(name) ?? fail('NotFound', `no object ${name}`);
        const from = offset < 0 ? Math.max(0, bytes.length + offset) : offset;
        return bytes.slice(from, lengthBytes === undefined ? undefined : from + lengthBytes);
      }),
    list: async function* list(prefix, signal): AsyncGenerator<ObjectInfo> {
      const found = await around(`list ${prefix}`, signal, () => store.names(prefix));
      for (const name of found) {
        const object = objects.get(name);
        if (object === undefined) continue;
        const { bytes, modifiedMs } = object;
        yield { name, sizeBytes: bytes.length, modifiedMs };
      }
    },
    delete: (name, signal) => around(`delete ${name}`, signal, () => void objects.delete(name)),
  };
  return store;
}
