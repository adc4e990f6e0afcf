/** An agent over fakes, asked as the control API asks it; for the agent's tests only. */
import type { EventOf, OperationName, RequestOf, ResponseOf } from '../api/control.ts';
import { fromWireError, pathPrefix, type StreamLine } from '../api/wire.ts';
import { fail, TransshipError } from '../base/errors.ts';
import type { Disk, DiskFile } from '../base/ports.ts';
import type { Cloud } from '../peer/cloud.ts';
import { createMemoryObjectStore } from '../peer/repository/memory-store.ts';
import { type Agent, startAgent } from './agent.ts';
import { serveControl } from './control.ts';
import { createFakePool, type FakePool } from './fake-pool.ts';
import type { AgentPorts, ImageReader, ImageWriter } from './ports.ts';

/** Files that live as long as the object: a restart over the same one finds them. */
export function createMemoryDisk(files = new Map<string, Uint8Array>()): Disk {
  const open = (path: string): DiskFile => ({
    path,
    read: (into, position) => {
      const part = files.get(path)!.subarray(position, position + into.length);
      into.set(part);
      return part.length;
    },
    readLater: async () => 0,
    write: (parts) => void files.set(path, Buffer.concat(parts)),
    syncLater: async () => undefined,
    sync: () => undefined,
    sizeBytes: () => files.get(path)?.length ?? 0,
    truncate: () => undefined,
    close: () => undefined,
  });
  return {
    open: (path, options) => {
      if (!files.has(path) && options?.create !== true) fail('NotFound', path);
      return open(path);
    },
    exists: (path) => files.has(path),
    list: () => [],
    makeDirectory: () => undefined,
    remove: (path) => void files.delete(path),
    rename: (from, to) => {
      files.set(to, files.get(from)!);
      files.delete(from);
    },
    syncDirectory: () => undefined,
    space: () => ({ totalBytes: 0, freeBytes: 0 }),
  };
}

export interface FakeImage {
  readonly bytes: Uint8Array;
  readonly ranges?: readonly { readonly offset: number; readonly lengthBytes: number }[];
  /** Changes under the reader's hands. */
  readonly changes?: boolean;
  /** Never answers a read. */
  readonly hangs?: boolean;
}

export interface FakeAgent {
  readonly agent: Agent;
  readonly pool: FakePool;
  readonly images: Map<string, FakeImage>;
  readonly written: Map<string, Uint8Array>;
  call<N extends OperationName>(name: N, request: RequestOf<N>): Promise<ResponseOf<N>>;
  /** The answer of a stream and the events before it. */
  stream<N extends OperationName>(
    name: N,
    request: RequestOf<N>,
    signal?: AbortSignal,
  ): Promise<{ readonly events: EventOf<N>[]; readonly result: ResponseOf<N> }>;
  /** One raw exchange: status and body. */
  raw(method: string, path: string, body: string): Promise<{ status: number; body: string }>;
}

export async function createFakeAgent(
  options: { readonly home?: Disk; readonly pool?: FakePool } = {},
): Promise<FakeAgent> {
  const images = new Map<string, FakeImage>();
  const written = new Map<string, Uint8Array>();
  const pool = options.pool ?? createFakePool();
  const ports = fakePorts(options.home ?? createMemoryDisk(), images, written);
  const agent = await startAgent({
    info: {
      cluster: 'east',
      version: '0.0.0',
      node: 'v24',
      pid: 1,
      startedMs: 0,
      homePath: '/home',
      controlSocket: '/home/control.sock',
      nbdSocket: '/home/nbd.sock',
      metricsUrl: 'http://127.0.0.1:1/metrics',
    },
    ports,
    pools: [{ name: 'main', path: '/pool', api: pool.api }],
    self: {
      id: '0'.repeat(32),
      name: 'east',
      fingerprint: 'f'.repeat(64),
      agentVersion: '0.0.0',
      capabilities: [],
      addresses: () => ['127.0.0.1:1'],
    },
    openCloud: () => lonelyCloud(),
  });
  const exchange = (request: {
    method: string;
    path: string;
    body: string;
    signal?: AbortSignal;
  }) => runExchange(agent, ports, request);
  const raw = (method: string, path: string, body: string) => exchange({ method, path, body });
  return {
    agent,
    pool,
    images,
    written,
    raw,
    call: async (name, request) => {
      const answer = await raw('POST', `${pathPrefix}${name}`, JSON.stringify(request));
      if (answer.status !== 200) throw fromWireError(JSON.parse(answer.body));
      return JSON.parse(answer.body);
    },
    stream: async (name, request, signal) => {
      const path = `${pathPrefix}${name}`;
      const body = JSON.stringify(request);
      const answer = await exchange({
        method: 'POST',
        path,
        body,
        ...(signal === undefined ? {} : { signal }),
      });
      if (answer.status !== 200) throw fromWireError(JSON.parse(answer.body));
      return unpackStream(answer.body);
    },
  };
}

function unpackStream<Event, Result>(body: string): { events: Event[]; result: Result } {
  const events: Event[] = [];
  for (const text of body.trimEnd().split('\n')) {
    const line = JSON.parse(text) as StreamLine<Event, Result>;
    if (line.type === 'event') events.push(line.event);
    else if (line.type === 'error') throw fromWireError(line.error);
    else return { events, result: line.result };
  }
  throw new TransshipError('ProtocolError', 'the stream ended without a result');
}

async function runExchange(
  agent: Agent,
  ports: AgentPorts,
  request: { method: string; path: string; body: string; signal?: AbortSignal },
): Promise<{ status: number; body: string }> {
  let status = 0;
  let body = '';
  await serveControl(
    agent.handlers,
    {
      ...request,
      signal: request.signal ?? new AbortController().signal,
      begin: (code) => void (status = code),
      send: (text) => void (body += text),
      end: () => undefined,
    },
    { log: ports.log, metricsText: () => agent.metricsText() },
  );
  return { status, body };
}

function lonelyCloud(): Cloud {
  return {
    peers: () => [],
    peer: (name) => fail('NotFound', `no peer is called ${name}`),
    onChange: () => () => undefined,
    createToken: () => ({ token: 'transship1-x', expiresMs: 3_600_000 }),
    join: async () => fail('TokenInvalid', 'no such token'),
    remove: () => undefined,
    accept: () => undefined,
    close: () => undefined,
  };
}

function fakePorts(
  home: Disk,
  images: Map<string, FakeImage>,
  written: Map<string, Uint8Array>,
): AgentPorts {
  return {
    home,
    clock: {
      wallMs: () => 1_000_000,
      monotonicMs: () => 0,
      after: () => ({ cancel: () => undefined }),
    },
    random: { bytes: (count) => new Uint8Array(count), fraction: () => 0.5 },
    log: { log: () => undefined },
    metrics: {
      add: () => undefined,
      set: () => undefined,
      observe: () => undefined,
      text: async () => '# metrics\n',
      forget: async () => undefined,
    },
    images: {
      open: async (path) => readerOf(path, images.get(path)),
      create: async ({ path, sizeBytes }) => writerOf(path, sizeBytes, written),
    },
    openObjectStore: () => createMemoryObjectStore({ wallMs: () => 1_000_000 }),
    attacher: {
      attach: async ({ mount, readOnly }) => ({
        device: '/dev/loop9',
        mount,
        filesystem: undefined,
        how: 'fuse',
        readOnly,
      }),
      detach: async () => undefined,
      list: async () => [],
    },
    requestStop: () => undefined,
  };
}

function readerOf(path: string, image: FakeImage | undefined): ImageReader {
  if (image === undefined) fail('BadImage', `cannot read ${path}`);
  return {
    sizeBytes: image.bytes.length,
    format: 'raw',
    async *dataRanges() {
      yield* image.ranges ?? [{ offset: 0, lengthBytes: image.bytes.length }];
    },
    read: async (into, offset) => {
      if (image.hangs === true) await new Promise(() => undefined);
      into.set(image.bytes.subarray(offset, offset + into.length));
    },
    checkUnchanged: async () => {
      if (image.changes === true) fail('BadImage', `${path} changed while it was read`);
    },
    close: async () => undefined,
  };
}

function writerOf(path: string, sizeBytes: number, written: Map<string, Uint8Array>): ImageWriter {
  const bytes = new Uint8Array(sizeBytes);
  return {
    write: async (from, offset) => bytes.set(from, offset),
    finish: async () => void written.set(path, bytes),
    abandon: async () => undefined,
  };
}
