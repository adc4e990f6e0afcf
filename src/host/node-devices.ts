/**
 * Devices of a node as a process of their own, in a container of their own: its processes keep the
 * block devices of running pods alive, so it must outlive the agent, whose container ends with all
 * that was started in it. The agent asks it over a unix socket that both containers see.
 */
import type { Attached, Attacher } from '../agent/ports.ts';
import { asTransshipError } from '../base/errors.ts';
import type { Log } from '../base/ports.ts';
import { detachVolume, listAttachments } from './attach.ts';
import { createAttacher } from './attacher.ts';
import { askLine, serveLines } from './one-line.ts';
import { runService } from './service-process.ts';

type AttachRequest = Parameters<Attacher['attach']>[0];
type Listed = Awaited<ReturnType<Attacher['list']>>;

type DevicesRequest =
  | { readonly attach: AttachRequest }
  | { readonly detach: string }
  | { readonly list: true };

export interface NodeDevices {
  /** Where the agent of this node asks. */
  readonly socketPath: string;
  /** Where records and mounts of devices are; the same path in every container that sees it. */
  readonly directory: string;
}

/** Runs until it is told to stop; what is attached stays so for as long as its container does. */
export function runNodeDevices(devices: NodeDevices, mainPath: string): Promise<number> {
  const { socketPath, directory } = devices;
  return runService({
    what: 'devices of the node',
    cluster: '',
    onReady: () => undefined,
    wire: async ({ log, undo }) => {
      await clearBroken(directory, log);
      const attacher = createAttacher(directory, mainPath);
      undo.push(await serveLines(socketPath, (request: DevicesRequest) => work(attacher, request)));
    },
  });
}

/** What ended with the last container is of no use; what a pod still holds goes with the pod. */
async function clearBroken(directory: string, log: Log): Promise<void> {
  const broken = listAttachments(directory).filter(({ working }) => !working);
  const clear = async (name: string): Promise<void> => {
    await detachVolume({ name, stateDirectory: directory }).catch((error: unknown) => {
      log.log('warn', 'a device that nobody serves any more is still in use', { name, error });
    });
  };
  await Promise.all(broken.map(({ name }) => clear(name)));
}

async function work(attacher: Attacher, request: DevicesRequest): Promise<unknown> {
  if ('attach' in request) return attacher.attach(request.attach);
  if ('detach' in request) return attacher.detach(request.detach);
  return attacher.list();
}

/** The attacher of an agent whose devices are kept by another process. */
export function createRemoteAttacher(socketPath: string, log: Log): Attacher {
  const ask = <A>(request: DevicesRequest): Promise<A> =>
    askLine(socketPath, request, `what keeps devices at ${socketPath}`);
  return {
    // The agent that asks may be gone before the device is: every one of them waits for the next.
    attach: (request) => ask<Attached>({ attach: { ...request, keep: true } }),
    detach: async (volume) => void (await ask({ detach: volume })),
    list: async () => {
      try {
        return await ask<Listed>({ list: true });
      } catch (error) {
        if (asTransshipError(error).reason !== 'AgentUnreachable') throw error;
        // Volumes, peers and clients of the network need no devices.
        log.log('warn', 'devices cannot be asked for', { error });
        return [];
      }
    },
  };
}
