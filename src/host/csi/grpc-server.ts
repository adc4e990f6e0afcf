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
    for (const [name, { asks, answers: out }] of Object.entries(service.calls)) {
      const serialize = (value: object): Buffer => Buffer.from(this.#codec.encode(out, value));
      const deserialize = (bytes: Buffer): object => this.#codec.decode(asks, bytes);
      definition[name] = {
        path: `/${service.name}/${name}`,
        requestStream: false,
        responseStream: false,
        requestSerialize: (value) => Buffer.from(this.#codec.encode(asks, value)),
        requestDeserialize: deserialize,
        responseSerialize: serialize,
        responseDeserialize: (bytes) => this.#codec.decode(out, bytes),
      };
      const work = (answers as Readonly<Record<string, Work>>)[name]!;
      handlers[name] = this.#handler(`${service.name}/${name}`, work);
    }
    this.#server.addService(definition, handlers);
  }

  #handler(name: string, work: Work): grpc.handleUnaryCall<object, object> {
    return (call, answer) => {
      work(call.request).then(
        (value) => answer(null, value),
        (error: unknown) => {
          const { code, details } = statusOf(error);
          const level = code === codes.internal ? 'error' : 'info';
          this.#log.log(level, 'CSI call failed', { call: name, code, details });
          answer({ code, details });
        },
      );
    };
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

/** The path of `unix:///PATH`, or of a path as it is. */
export function socketPath(endpoint: string): string {
  return endpoint.startsWith(prefix) ? endpoint.slice(prefix.length) : endpoint;
}
