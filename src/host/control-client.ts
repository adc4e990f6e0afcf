/** The control API's client: HTTP over the agent's unix socket, or with TLS to another node. */
import type * as http from 'node:http';
import type * as https from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import type { EventOf, OperationName, RequestOf, ResponseOf } from '../api/control.ts';
import { fromWireError, pathPrefix, type StreamLine } from '../api/wire.ts';
import type { ControlClient } from '../api/control-client.ts';
import { TransshipError } from '../base/errors.ts';
import { type ControlTls, controlServerName } from './control-tls.ts';

/** An agent of another host: both sides prove with certificates of one authority who they are. */
export interface RemoteAgent {
  readonly host: string;
  readonly port: number;
  readonly tls: ControlTls;
}

/** `target`: the path of its socket, or where it is. */
export function createControlClient(cluster: string, target: string | RemoteAgent): ControlClient {
  const post = (name: string, request: unknown, signal?: AbortSignal) =>
    send({ cluster, target, path: `${pathPrefix}${name}`, body: request, signal });
  return {
    cluster,
    call: async <N extends OperationName>(name: N, request: RequestOf<N>) => {
      const response = await post(name, request);
      return parse(await readAll(response, cluster)) as ResponseOf<N>;
    },
    stream: async <N extends OperationName>(
      name: N,
      request: RequestOf<N>,
      watch: { onEvent: (event: EventOf<N>) => void; signal?: AbortSignal },
    ) => {
      const response = await post(name, request, watch.signal);
      for await (const text of linesOf(response, cluster)) {
        const line = parse(text) as StreamLine<EventOf<N>, ResponseOf<N>>;
        if (line.type === 'event') watch.onEvent(line.event);
        else if (line.type === 'error') throw fromWireError(line.error);
        else return line.result;
      }
      throw new TransshipError('AgentUnreachable', `the agent of ${cluster} ended`);
    },
  };
}

interface Request {
  readonly cluster: string;
  readonly target: string | RemoteAgent;
  readonly path: string;
  readonly body: unknown;
  readonly signal: AbortSignal | undefined;
}

/** The response once its head is there and says 200; else what the agent says is wrong. */
async function send(request: Request): Promise<http.IncomingMessage> {
  // Loaded here: most commands ask no agent, and to load it takes them longer than their work.
  const [http, https] = await Promise.all([import('node:http'), import('node:https')]);
  const { cluster, target, path, body, signal } = request;
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const options = {
      path,
      method: 'POST',
      headers: { 'content-type': 'application/json', host: 'agent' },
      // One connection for one command: nothing to keep alive.
      agent: false,
      ...(signal === undefined ? {} : { signal }),
    } as const;
    const outgoing =
      typeof target === 'string'
        ? http.request({ ...options, socketPath: target }, resolve)
        : https.request({ ...options, ...secured(target) }, resolve);
    outgoing.once('error', (error) => reject(unreachable(cluster, error)));
    outgoing.end(JSON.stringify(body));
  });
  if (response.statusCode === 200) return response;
  const text = await readAll(response, cluster);
  throw fromWireError(text.startsWith('{') ? parse(text) : { message: text });
}

/** By the name in the certificate, whatever address the agent has now. */
function secured({ host, port, tls }: RemoteAgent): https.RequestOptions {
  return {
    host,
    port,
    ca: tls.authority,
    cert: tls.certificate,
    key: tls.key,
    servername: controlServerName,
    minVersion: 'TLSv1.3',
  };
}

function unreachable(cluster: string, error: Error): TransshipError {
  const code = (error as NodeJS.ErrnoException).code;
  const gone = code === 'ENOENT' || code === 'ECONNREFUSED';
  const why = gone ? 'is not running' : `does not answer (${error.message})`;
  return new TransshipError('AgentUnreachable', `cluster ${cluster} ${why}`, { cause: error });
}

async function readAll(response: http.IncomingMessage, cluster: string): Promise<string> {
  let text = '';
  for await (const line of linesOf(response, cluster)) text += `${line}\n`;
  return text;
}

async function* linesOf(
  response: http.IncomingMessage,
  cluster: string,
): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      const lines = (rest + decoder.write(part)).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    throw unreachable(cluster, error as Error);
  }
  if (rest !== '') yield rest;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TransshipError('ProtocolError', 'the agent sent no JSON', { cause: error });
  }
}
