/** Services of protocol buffers over a unix socket, by grpc-js. */
import fs from 'node:fs';
import { dirname } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import type { Log } from '../../base/ports.ts';
import { codes, statusOf } from '../../csi/errors.ts';
import { Codec } from '../../csi/wire/message.ts';
import type { Answers, Service } from '../../csi/wire/services.ts';

/** A sidecar's own deadline is shorter. */
const stopMs = 10_000;
const prefix = 'unix://';

type Work = (request: object) => Promise<object>;
type ManyWork = (request: object) => AsyncIterable<object>;

export class GrpcServer {
  readonly #server = new grpc.Server();
  readonly #codec = new Codec();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  add<S extends Service>(service: S, answers: Answers<S>): void {
    const definition: Record<string, grpc.MethodDefinition<object, object>> = {};
    const handlers: grpc.UntypedServiceImplementation = {};
    for (const [name, { asks, answers: out, many }] of Object.entries(service.calls)) {
      const serialize = (value: object): Buffer => Buffer.from(this.#codec.encode(out, value));
      const deserialize = (bytes: Buffer): object => this.#codec.decode(asks, bytes);
      definition[name] = {
        path: `/${service.name}/${name}`,
        requestStream: false,
        responseStream: many,
        requestSerialize: (value) => Buffer.from(this.#codec.encode(asks, value)),
        requestDeserialize: deserialize,
        responseSerialize: serialize,
        responseDeserialize: (bytes) => this.#codec.decode(out, bytes),
      };
      const path = `${service.name}/${name}`;
      const work = (answers as Readonly<Record<string, unknown>>)[name];
      handlers[name] = many
        ? this.#streamHandler(path, work as ManyWork)
        : this.#handler(path, work as Work);
    }
    this.#server.addService(definition, handlers);
  }

  #handler(name: string, work: Work): grpc.handleUnaryCall<object, object> {
    return (call, answer) => {
      work(call.request).then(
        (value) => answer(null, value),
        (error: unknown) => answer(this.#failure(name, error)),
      );
    };
  }

  #streamHandler(name: string, work: ManyWork): grpc.handleServerStreamingCall<object, object> {
    return (call) => {
      sendAll(call, work(call.request)).catch((error: unknown) => {
        // Who went away hears nothing any more; anybody else gets this as the status.
        if (!call.cancelled) call.emit('error', this.#failure(name, error));
      });
    };
  }

  #failure(name: string, error: unknown): { readonly code: number; readonly details: string } {
    const { code, details } = statusOf(error);
    const level = code === codes.internal ? 'error' : 'info';
    this.#log.log(level, 'CSI call failed', { call: name, code, details });
    return { code, details };
  }

  /** `endpoint`: `unix:///PATH`. What a killed process left there is taken away. */
  listen(endpoint: string): Promise<void> {
    const path = socketPath(endpoint);
    // A kubelet that meets the driver for the first time has no directory for it.
    fs.mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    fs.rmSync(path, { force: true });
    return new Promise((resolve, reject) => {
      const credentials = grpc.ServerCredentials.createInsecure();
      this.#server.bindAsync(`unix:${path}`, credentials, (error) => {
        if (error !== null) return reject(error);
        // Whoever may open this socket may attach and detach volumes.
        fs.chmodSync(path, 0o600);
        return resolve();
      });
    });
  }

  /** Ends after the calls that are at work, or soon without them. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#server.forceShutdown(), stopMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** As fast as the reader takes them; leaves off where the reader goes away. */
async function sendAll(
  call: grpc.ServerWritableStream<object, object>,
  messages: AsyncIterable<object>,
): Promise<void> {
  for await (const message of messages) {
    if (call.cancelled) return;
    if (!call.write(message)) await drained(call);
    if (call.cancelled) return;
  }
  call.end();
}

function drained(call: grpc.ServerWritableStream<object, object>): Promise<void> {
  const ends = ['drain', 'cancelled', 'close'];
  return new Promise((resolve) => {
    const done = (): void => {
      for (const event of ends) call.off(event, done);
      resolve();
    };
    for (const event of ends) call.on(event, done);
  });
}

/** The path of `unix:///PATH`, or of a path as it is. */
export function socketPath(endpoint: string): string {
  return endpoint.startsWith(prefix) ? endpoint.slice(prefix.length) : endpoint;
}
