/**
 * Keeps devices of this host alive over restarts of the agent: a process between the kernel and the
 * agent that waits while the agent is away. It serves each device as a file of a mount of its own,
 * or as an NBD export to the kernel's client. One for all attachments of an agent; it starts with
 * the first that wants it and ends with the last.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asTransshipError, fail } from '../base/errors.ts';
import type { Clock, Log } from '../base/ports.ts';
import { KeptDevice } from '../nbd/kept-device.ts';
import { startBackground } from './background.ts';
import { createClock } from './clock.ts';
import { type FuseMount, startFuseMount } from './fuse-mount.ts';
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
  /** To mount it at, as the file `disk`. */
  readonly directory?: string;
  /** Of an open device: how large the volume is now. */
  readonly refresh?: true;
}

interface KeeperAnswer {
  /** The keeper's, when it serves the file that was asked for. */
  readonly pid?: number;
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
      const devices = new Devices(log, clock);
      const server = await createNbdServer({
        socketPath: doorSocket(directory),
        exports: { find: (name) => devices.find(name), list: () => devices.names() },
        log,
        metrics: createMetrics(),
      });
      undo.push(() => server.close());
      let opening = 0;
      let isEnding = false;
      const endIfIdle = () => {
        clock.after(idleMs, () => {
          if (devices.names().length > 0 || opening > 0) return;
          isEnding = true;
          requestStop();
        });
      };
      const answer = async (request: KeeperRequest): Promise<KeeperAnswer> => {
        // As if nobody were here: whoever asks starts the next one.
        if (isEnding) fail('AgentUnreachable', 'the keeper of devices is ending');
        opening++;
        try {
          return await devices.answer(request);
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

interface Kept {
  readonly device: KeptDevice;
  mount: FuseMount | undefined;
}

class Devices {
  readonly #kept = new Map<string, Kept>();
  readonly #log: Log;
  readonly #clock: Clock;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  find(name: string): KeptDevice | undefined {
    return this.#kept.get(name)?.device;
  }

  names(): readonly string[] {
    return [...this.#kept.keys()];
  }

  async answer(request: KeeperRequest): Promise<KeeperAnswer> {
    const { name, socketPath, directory, refresh } = request;
    if (refresh === true) {
      const device = this.find(name) ?? fail('NotFound', `no device ${name} is kept`);
      await device.refresh();
      return {};
    }
    this.#close(name);
    if (socketPath === undefined) return {};
    const kept: Kept = { device: await this.#open(name, socketPath), mount: undefined };
    this.#kept.set(name, kept);
    if (directory === undefined) return {};
    try {
      kept.mount = await startFuseMount({ directory, device: kept.device, log: this.#log });
    } catch (error) {
      this.#close(name);
      throw error;
    }
    if (this.#kept.get(name) === kept) return { pid: process.pid };
    kept.mount.close();
    return fail('Stopping', `device ${name} was closed while it was mounted`);
  }

  #open(name: string, socketPath: string): Promise<KeptDevice> {
    const log = this.#log;
    return KeptDevice.open({
      connect: () => connectNbd({ exportName: name, socketPath }),
      clock: this.#clock,
      waitMs,
      onLost: () => log.log('warn', 'the agent is away; its device waits', { name }),
      onBack: (awayMs) => log.log('info', 'the agent is back', { name, awayMs }),
    });
  }

  #close(name: string): void {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    kept?.mount?.close();
    kept?.device.close();
  }
}

/** How the keeper of an agent is reached and started. */
export interface KeeperPlace {
  readonly directory: string;
  /** This program's main file. */
  readonly mainPath: string;
}

/** The address of a door that waits for the agent. Starts the keeper where none runs. */
export async function openKept(place: KeeperPlace, request: OpenRequest): Promise<string> {
  await askOrStart(place, request);
  return unixNbdUri(request.name, doorSocket(place.directory));
}

/**
 * The same, as the file `disk` of a mount at `directory`. Returns the keeper's process id;
 * undefined when the one that runs is of an older version, which opened the door only.
 */
export async function serveKept(
  place: KeeperPlace,
  request: OpenRequest & { readonly directory: string },
): Promise<number | undefined> {
  return (await askOrStart(place, request))?.pid;
}

/** Tells the keeper that serves the device that the volume may have grown. */
export async function refreshKept(directory: string, name: string): Promise<void> {
  await ask(directory, { name, refresh: true });
}

interface OpenRequest {
  readonly name: string;
  readonly socketPath: string;
}

async function askOrStart(
  place: KeeperPlace,
  request: KeeperRequest,
): Promise<KeeperAnswer | undefined> {
  const until = performance.now() + startMs;
  for (;;) {
    try {
      return await ask(place.directory, request);
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

/** An older version answers nothing. */
const ask = (directory: string, request: KeeperRequest): Promise<KeeperAnswer | undefined> =>
  askLine(controlSocket(directory), request, 'the keeper of devices');
