/** Questions between our processes on one host: a line of JSON each way over a unix socket. */
import fs from 'node:fs';
import net from 'node:net';
import { fromWireError, toWireError } from '../api/wire.ts';
import { asTransshipError, fail, TransshipError } from '../base/errors.ts';
import { listenPrivately } from './unix-socket.ts';
import type { Undo } from './service-process.ts';

const requestBytesMax = 16 * 1024;

interface Answer {
  readonly value?: unknown;
  readonly error?: unknown;
}

/** Only the owner of the socket can ask, so requests are not checked further. */
export async function serveLines<Q>(
  socketPath: string,
  answer: (request: Q) => Promise<unknown>,
): Promise<Undo> {
  const server = net.createServer((socket) => serveOne(socket, answer));
  await listenPrivately(server, socketPath);
  return () => new Promise((resolve) => server.close(() => resolve()));
}

function serveOne<Q>(socket: net.Socket, answer: (request: Q) => Promise<unknown>): void {
  let text = '';
  socket.on('error', () => socket.destroy());
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (text.length > requestBytesMax) socket.destroy();
    if (!text.includes('\n')) return;
    socket.removeAllListeners('data');
    void answered(text, answer).then((said) => socket.end(`${JSON.stringify(said)}\n`));
  });
}

async function answered<Q>(text: string, answer: (request: Q) => Promise<unknown>) {
  try {
    return { value: await answer(JSON.parse(text) as Q) } satisfies Answer;
  } catch (error) {
    return { error: toWireError(asTransshipError(error)) } satisfies Answer;
  }
}

/** `AgentUnreachable` when nobody listens, or ends before it answers; `who` is for the message. */
export async function askLine<A>(socketPath: string, request: object, who: string): Promise<A> {
  if (!fs.existsSync(socketPath)) fail('AgentUnreachable', `${who} does not run`);
  const said = await new Promise<string>((resolve, reject) => {
    const socket = net.connect({ path: socketPath });
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.once('error', (error) => {
      reject(new TransshipError('AgentUnreachable', error.message, { cause: error }));
    });
    socket.once('close', () => resolve(text));
  });
  if (said === '') fail('AgentUnreachable', `${who} ended before it answered`);
  const { value, error } = JSON.parse(said) as Answer;
  if (error !== undefined) throw fromWireError(error);
  return value as A;
}
