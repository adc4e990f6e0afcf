/**
 * Keeps devices of this host alive over restarts of the agent: a process between `nbdfuse` and the
 * agent that waits where `nbdfuse` would give up. One for all attachments of an agent; it starts
 * with the first that wants it and ends with the last.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asTransshipError, fail } from '../base/errors.ts';
import { KeptDevice } from '../nbd/kept-device.ts';
import { startBackground } from './background.ts';
import { createClock } from './clock.ts';
import { createMetrics } from './metrics.ts';
import { connectNbd, unixNbdUri } from './nbd-client.ts';
import { createNbdServer } from './nbd-server.ts';
import { askLine, serveLines } from './one-line.ts';
import { runService } from './service-process.ts';

/** Longer than the restart of a node's agent, shorter than what operators take for a hang. */
const waitMs = 10 * 60_000;
/** After the last device: the next attachment soon finds a process that runs. */
const idleMs = 2_000;
/** One that ends makes room for the next within this time. */
const startMs = 20_000;
const againMs = 100;

const doorSocket = (directory: string): string => path.join(directory, 'keeper.sock');
const controlSocket = (directory: string): string => path.join(directory, 'keeper-control.sock');

interface KeeperRequest {
  readonly name: string;
  /** The agent's NBD socket; absent: the device is not wanted any more. */
  readonly socketPath?: string;
}

/** The keeper's own process. `directory` is that of the attachments. */
export function runDoorKeeper(
  directory: string,
  onReady: (error?: unknown) => void,
): Promise<number> {
  return runService({
    what: 'door keeper',
    cluster: path.basename(path.dirname(directory)),
    onReady,
    wire: async ({ log, undo, requestStop }) => {
      const clock = createClock();
      const devices = new Map<string, KeptDevice>();
      const server = await createNbdServer({
        socketPath: doorSocket(directory),
        exports: { find: (name) => devices.get(name), list: () => [...devices.keys()] },
        log,
        metrics: createMetrics(),
      });
      undo.push(() => server.close());
      let opening = 0;
      let isEnding = false;
      const endIfIdle = () => {
        clock.after(idleMs, () => {
          if (devices.size > 0 || opening > 0) return;
          isEnding = true;
          requestStop();
        });
      };
      const answer = async ({ name, socketPath }: KeeperRequest): Promise<void> => {
        // As if nobody were here: whoever asks starts the next one.
        if (isEnding) fail('AgentUnreachable', 'the keeper of devices is ending');
        devices.get(name)?.close();
        devices.delete(name);
        if (socketPath === undefined) return endIfIdle();
        const connect = () => connectNbd({ exportName: name, socketPath });
        const onLost = () => log.log('warn', 'the agent is away; its device waits', { name });
        const onBack = (awayMs: number) => log.log('info', 'the agent is back', { name, awayMs });
        opening++;
        try {
          devices.set(name, await KeptDevice.open({ connect, clock, waitMs, onLost, onBack }));
        } finally {
          opening--;
          endIfIdle();
        }
      };
      undo.push(await serveLines(controlSocket(directory), answer));
      endIfIdle();
    },
  });
}

/** How the keeper of an agent is reached and started. */
export interface KeeperPlace {
  readonly directory: string;
  /** This program's main file. */
  readonly mainPath: string;
}

/** The address of a door that waits for the agent. Starts the keeper where none runs. */
export async function openKept(
  place: KeeperPlace,
  request: { readonly name: string; readonly socketPath: string },
): Promise<string> {
  const until = performance.now() + startMs;
  for (;;) {
    try {
      await ask(place.directory, request);
      return unixNbdUri(request.name, doorSocket(place.directory));
    } catch (error) {
      const isAway = asTransshipError(error).reason === 'AgentUnreachable';
      if (!isAway || performance.now() > until) throw error;
      await startKeeper(place);
      await sleep(againMs);
    }
  }
}

/** Nothing to do where no keeper runs: then it keeps nothing. */
export async function closeKept(directory: string, name: string): Promise<void> {
  try {
    await ask(directory, { name });
  } catch (error) {
    if (asTransshipError(error).reason !== 'AgentUnreachable') throw error;
  }
}

async function startKeeper({ directory, mainPath }: KeeperPlace): Promise<void> {
  try {
    await startBackground({
      what: 'the keeper of devices',
      args: ['--disable-warning=ExperimentalWarning', mainPath, 'door-keeper', directory],
      directory,
      log: path.join(directory, 'keeper.log'),
    });
  } catch (error) {
    // Somebody else was quicker: then it runs.
    if (asTransshipError(error).reason !== 'InUse') throw error;
  }
}

const ask = (directory: string, request: KeeperRequest): Promise<void> =>
  askLine(controlSocket(directory), request, 'the keeper of devices');
