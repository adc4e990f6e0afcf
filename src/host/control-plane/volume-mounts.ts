/** Volumes of the engine for pods of this machine, through the agent that has them. */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { ControlClient } from '../../api/control-client.ts';
import type { AttachmentObject } from '../../api/objects.ts';
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import type { Log } from '../../base/ports.ts';
import type { MountedVolume, VolumeMounts } from '../../embedded/runtime/ports.ts';
import { type LeadPorts, leadVolume } from '../../embedded/runtime/storage/lead-volume.ts';
import { detachVolume } from '../attach.ts';

/** Reasons of a machine that cannot attach at all: pods then have the NBD address alone. */
const cannotAttach: ReadonlySet<string> = new Set(['ToolMissing', 'Unsupported', 'NotAllowed']);

export interface VolumeMountsOptions {
  readonly agent: ControlClient;
  /** Where volumes are mounted, one directory each. */
  readonly directory: string;
  readonly log: Log;
  /** In a cluster of several nodes. */
  readonly several?: {
    /** How a volume comes here that another node has. */
    readonly lead: Omit<LeadPorts, 'own'>;
    /** Where the agent records what it attached: undone without it once it is gone. */
    readonly attachments: string;
  };
}

export function createVolumeMounts(options: VolumeMountsOptions): VolumeMounts {
  const { agent, directory, log, several } = options;
  const turns = new Map<string, Promise<unknown>>();
  /** One thing at a time with each volume: who comes while it is let go gets it made anew. */
  const inTurn = async <R>(volume: string, work: () => Promise<R>): Promise<R> => {
    const before = turns.get(volume) ?? Promise.resolve();
    const mine = before.then(work, work);
    turns.set(volume, mine);
    try {
      return await mine;
    } finally {
      if (turns.get(volume) === mine) turns.delete(volume);
    }
  };
  const mountNow: VolumeMounts['mount'] = async (volume, how) => {
    if (several !== undefined) await leadVolume(volume, { ...several.lead, own: agent });
    const { uri } = await agent.call('volume.uri', { volume });
    const mount = join(directory, volume);
    try {
      const path = await attach(agent, { volume, mount, ...how });
      return { path, nbdUri: uri };
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      if (!cannotAttach.has(reason)) throw error;
      log.log('warn', 'a volume is not attached: pods have its NBD address', { volume, message });
      return { path: undefined, nbdUri: uri } satisfies MountedVolume;
    }
  };
  const unmountNow: VolumeMounts['unmount'] = async (volume, isInUse) => {
    if (isInUse()) return;
    try {
      await agent.call('volume.detach', { volume });
    } catch (error) {
      const { reason } = asTransshipError(error);
      const isGone = several !== undefined && reason === 'AgentUnreachable';
      // Its users are gone: what the dead agent left is in nobody's way but the next one's.
      if (isGone) await detachDead(several.attachments, volume);
      else if (reason !== 'NotFound') throw error;
    }
    removeEmpty(join(directory, volume));
  };
  return {
    mount: (volume, how) => inTurn(volume, () => mountNow(volume, how)),
    unmount: (volume, isInUse) => inTurn(volume, () => unmountNow(volume, isInUse)),
  };
}

async function detachDead(attachments: string, volume: string): Promise<void> {
  await detachVolume({ name: volume, stateDirectory: attachments, force: true });
}

/** Not what is in it: after a detach that failed that would be the volume's content. */
function removeEmpty(directory: string): void {
  try {
    fs.rmdirSync(directory);
  } catch {
    // It is not there, or still in use.
  }
}

interface Wanted {
  readonly volume: string;
  readonly mount: string;
  readonly readOnly: boolean;
  readonly fsType: string;
  readonly block: boolean;
}

/** The device or the directory; also when it is attached already. */
async function attach(agent: ControlClient, wanted: Wanted): Promise<string> {
  const { volume, mount, readOnly, block } = wanted;
  if (block) return deviceOf(await agent.call('volume.attach', { volume, readOnly }));
  // The agent makes the directory itself, and so removes it when it detaches: that ends the copies
  // of the mount in the containers of others, which would keep the device.
  fs.mkdirSync(dirname(mount), { recursive: true, mode: 0o700 });
  await attachFiles(agent, wanted);
  return mount;
}

/** A volume gets its file system from the first pod that writes to it; those after find it. */
async function attachFiles(agent: ControlClient, wanted: Wanted): Promise<void> {
  const { volume, mount, readOnly, fsType } = wanted;
  const request = { volume, mount, readOnly };
  try {
    await agent.call('volume.attach', request);
  } catch (error) {
    if (readOnly || asTransshipError(error).reason !== 'BadArgument') throw error;
    // Refused by itself when the volume is not blank.
    await agent.call('volume.attach', { ...request, format: fsType });
  }
}

function deviceOf({ status }: AttachmentObject): string {
  if (status.device === undefined) throw new TransshipError('Internal', 'no device was attached');
  return status.device;
}
