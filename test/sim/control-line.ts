/** The way from a controller to an agent: operations are lost, late, or done and not answered. */
import type { EventOf, OperationName, RequestOf, ResponseOf } from '../../src/api/control.ts';
import type { ControlClient } from '../../src/api/control-client.ts';
import { checkRequest, fromWireError, toWireError } from '../../src/api/wire.ts';
import { TransshipError } from '../../src/base/errors.ts';
import type { Handlers } from '../../src/agent/parts.ts';
import type { SimAgent } from './control-agent.ts';
import type { Life } from './control-life.ts';
import type { Rng } from './rng.ts';
import { Crashed, type Scheduler } from './scheduler.ts';

/** Chances per operation. */
export interface LineWeather {
  lostBefore: number;
  lostAfter: number;
  delayMs: number;
}

export interface LineOptions {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly life: Life;
  readonly agent: SimAgent;
  readonly weather: LineWeather;
  readonly onSend: (operation: OperationName) => void;
}

type AnyHandler = (
  request: unknown,
  watcher: { emit(event: unknown): void; readonly signal: AbortSignal },
) => Promise<unknown>;

const tickMs = 0.001;

interface Asking {
  readonly name: OperationName;
  readonly request: unknown;
  readonly onEvent: (event: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

export function simLine(o: LineOptions): ControlClient {
  const ask = (asking: Asking) =>
    new Promise<unknown>((resolve, reject) => {
      o.onSend(asking.name);
      const text = JSON.stringify(asking.request);
      const label = `${o.life.name} asks agent ${o.agent.name} ${asking.name}`;
      const fail = (error: unknown) => o.life.enter(() => reject(asError(error)));
      const abort = () => fail(new TransshipError('Canceled', 'aborted'));
      if (asking.signal?.aborted === true) return abort();
      asking.signal?.addEventListener('abort', abort);
      o.scheduler.at(delay(o), label, () => {
        carryOut(o, { ...asking, request: JSON.parse(text) }).then((answer) => {
          o.life.enter(() => resolve(answer));
        }, fail);
      });
    });
  return {
    cluster: o.agent.name,
    call: <N extends OperationName>(name: N, request: RequestOf<N>) => {
      const asking = { name, request, onEvent: () => undefined, signal: undefined };
      return ask(asking) as Promise<ResponseOf<N>>;
    },
    stream: <N extends OperationName>(
      name: N,
      request: RequestOf<N>,
      watch: { readonly onEvent: (event: EventOf<N>) => void; readonly signal?: AbortSignal },
    ) => {
      const onEvent = (event: unknown) => watch.onEvent(event as EventOf<N>);
      return ask({ name, request, onEvent, signal: watch.signal }) as Promise<ResponseOf<N>>;
    },
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function delay({ rng, weather }: LineOptions): number {
  const scale = rng.chance(0.03) ? 40 : rng.chance(0.2) ? 4 : 1;
  return weather.delayMs * scale * rng.fraction();
}

function unreachable(name: string): TransshipError {
  return new TransshipError('AgentUnreachable', `agent ${name} does not answer`);
}

/** At the agent; what is thrown is thrown at the asking process. */
async function carryOut(o: LineOptions, asking: Asking): Promise<unknown> {
  const { agent, rng, weather, scheduler, life } = o;
  const { running } = agent;
  if (running === undefined || rng.chance(weather.lostBefore)) throw unreachable(agent.name);
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => undefined);
  const lose = () => ended.reject(unreachable(agent.name));
  const stop = running.life.onEnd(lose);
  const gone = new AbortController();
  const leave = life.onEnd(() => gone.abort());
  const abort = () => gone.abort();
  asking.signal?.addEventListener('abort', abort);
  let lastMs = 0;
  const arrive = (run: () => void) => {
    lastMs = Math.max(lastMs + tickMs, scheduler.nowMs + delay(o));
    const label = `agent ${agent.name} answers ${life.name}`;
    scheduler.at(lastMs - scheduler.nowMs, label, () => life.enter(run));
  };
  const emit = (event: unknown) => {
    const text = JSON.stringify(event);
    if (asking.signal?.aborted !== true) arrive(() => asking.onEvent(JSON.parse(text)));
  };
  try {
    const work = perform(running.agent.handlers, asking, { emit, signal: gone.signal });
    const text = await Promise.race([work, ended.promise]);
    if (rng.chance(weather.lostAfter)) throw unreachable(agent.name);
    return await Promise.race([
      new Promise((resolve) => arrive(() => resolve(JSON.parse(text)))),
      ended.promise,
    ]);
  } finally {
    stop();
    leave();
    asking.signal?.removeEventListener('abort', abort);
  }
}

async function perform(
  handlers: Handlers,
  { name, request }: Asking,
  watcher: { emit(event: unknown): void; readonly signal: AbortSignal },
): Promise<string> {
  try {
    const handler = handlers[name] as unknown as AnyHandler;
    const answer = await handler(checkRequest(name, request), watcher);
    return JSON.stringify(answer);
  } catch (error) {
    // The agent's end is told otherwise.
    if (error instanceof Crashed) return new Promise(() => undefined);
    throw fromWireError(JSON.parse(JSON.stringify(toWireError(error))));
  }
}
