/** The control API's server side without its sockets: a request in, lines of JSON out. */
import { isOperation, type OperationName, operations } from '../api/control.ts';
import { checkRequest, httpStatusOf, pathPrefix, toWireError } from '../api/wire.ts';
import { AssertionFailure, TransshipError } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import type { Log } from '../base/ports.ts';
import { dataHandlers } from './data.ts';
import { doorHandlers } from './doors.ts';
import {
  agentHandlers,
  clusterHandlers,
  jobHandlers,
  policyHandlers,
  poolHandlers,
  teleportHandlers,
} from './operations.ts';
import type { AgentParts, Handlers, Watcher } from './parts.ts';
import { replicaHandlers } from './replicas.ts';
import { repositoryHandlers } from './repository-handlers.ts';
import { volumeHandlers } from './volumes.ts';

/** One request as the HTTP server gives it, and where its answer goes. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** The whole body; bounded by the server. */
  readonly body: string;
  /** Aborted when the client went away. */
  readonly signal: AbortSignal;
  /** Once, before anything is sent. */
  begin(status: number, contentType: string): void;
  send(text: string): void;
  end(): void;
}

export function allHandlers(parts: AgentParts): Handlers {
  return {
    ...agentHandlers(parts),
    ...poolHandlers(parts),
    ...volumeHandlers(parts),
    ...doorHandlers(parts),
    ...dataHandlers(parts),
    ...policyHandlers(parts),
    ...clusterHandlers(parts),
    ...teleportHandlers(parts),
    ...replicaHandlers(parts),
    ...jobHandlers(parts),
    ...repositoryHandlers(parts),
  };
}

const json = 'application/json';
const lines = 'application/x-ndjson';

/** Answers one request; never rejects for an operating error. */
export async function serveControl(
  handlers: Handlers,
  exchange: Exchange,
  ports: { readonly log: Log; metricsText(): Promise<string> },
): Promise<void> {
  try {
    if (exchange.method === 'GET' && exchange.path === '/metrics') {
      const text = await ports.metricsText();
      exchange.begin(200, 'text/plain; version=0.0.4; charset=utf-8');
      exchange.send(text);
      exchange.end();
      return;
    }
    const name = operationOf(exchange);
    const request = checkRequest(name, parseBody(exchange.body));
    if (operations[name].stream) await serveStream(handlers, exchange, name, request);
    else await serveCall(handlers, exchange, name, request);
  } catch (error) {
    if (error instanceof AssertionFailure) throw error;
    const wire = toWireError(error);
    // `Internal` is what nobody expected: the log gets all of it, the client a sentence.
    if (wire.reason === 'Internal') ports.log.log('error', 'a request failed', { error });
    exchange.begin(httpStatusOf(wire.reason), json);
    exchange.send(`${JSON.stringify(wire)}\n`);
    exchange.end();
  }
}

function operationOf({ method, path }: Exchange): OperationName {
  const name = path.startsWith(pathPrefix) ? path.slice(pathPrefix.length) : '';
  if (!isOperation(name)) {
    throw new TransshipError('NotFound', `no operation at '${printable(path)}'`);
  }
  if (method !== 'POST') throw new TransshipError('BadArgument', `${name} wants POST`);
  return name;
}

function parseBody(body: string): unknown {
  if (body === '') return {};
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new TransshipError('BadArgument', 'the request is not JSON', { cause: error });
  }
}

type AnyHandler = (request: unknown, watcher: Watcher<unknown>) => Promise<unknown>;

async function serveCall(
  handlers: Handlers,
  exchange: Exchange,
  name: OperationName,
  request: unknown,
): Promise<void> {
  const handler = handlers[name] as AnyHandler;
  const answer = await handler(request, { emit: () => undefined, signal: exchange.signal });
  exchange.begin(200, json);
  exchange.send(`${JSON.stringify(answer)}\n`);
  exchange.end();
}

/** A refusal before the first event is an ordinary error; later ones are the last line. */
async function serveStream(
  handlers: Handlers,
  exchange: Exchange,
  name: OperationName,
  request: unknown,
): Promise<void> {
  const handler = handlers[name] as AnyHandler;
  let begun = false;
  const line = (value: unknown) => {
    if (!begun) exchange.begin(200, lines);
    begun = true;
    exchange.send(`${JSON.stringify(value)}\n`);
  };
  const emit = (event: unknown) => line({ type: 'event', event });
  try {
    const result = await handler(request, { emit, signal: exchange.signal });
    line({ type: 'result', result });
  } catch (error) {
    if (!begun || error instanceof AssertionFailure) throw error;
    line({ type: 'error', error: toWireError(error) });
  }
  exchange.end();
}
