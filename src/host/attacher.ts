/** `attach.ts` as the agent's port. */
import type { Attached, Attacher } from '../agent/ports.ts';
import { fail } from '../base/errors.ts';
import {
  type Attachment,
  type AttachRequest,
  attachVolume,
  detachVolume,
  growAttached,
  listAttachments,
} from './attach.ts';
import { loopBytes, sectorBytes } from './block-probe.ts';
import { closeKept, openKept, refreshKept, serveKept } from './door-keeper.ts';
import { parseNbdUri } from './nbd-client.ts';

/** `mainPath`: of this program, for the process that keeps devices while the agent is away. */
export function createAttacher(stateDirectory: string, mainPath: string): Attacher {
  const kept = async (name: string, uri: string): Promise<Pick<AttachRequest, 'uri' | 'serve'>> => {
    const { socketPath } = parseNbdUri(uri);
    if (socketPath === undefined) fail('BadArgument', `${uri} is not on this host`);
    const place = { directory: stateDirectory, mainPath };
    return {
      uri: await openKept(place, { name, socketPath }),
      serve: (directory) => serveKept(place, { name, socketPath, directory }),
    };
  };
  /** The device of a volume that has grown since it was attached. */
  const grow = async ({ name, device, grows }: Attachment, sizeBytes: number): Promise<void> => {
    // Devices have whole sectors only.
    const has = loopBytes(device) ?? sizeBytes;
    if (!grows || has > sizeBytes - sectorBytes) return;
    await refreshKept(stateDirectory, name);
    await growAttached(stateDirectory, name);
  };
  return {
    attach: async ({ volume, uri, mount, format, readOnly, keep, sizeBytes }) => {
      if (format !== undefined && format !== 'ext4' && format !== 'xfs') {
        fail('BadArgument', `a volume is formatted as ext4 or xfs, not ${format}`);
      }
      const there = listAttachments(stateDirectory).find(({ name }) => name === volume);
      // Its door is in use: opening it anew would fail what waits there.
      const isThere = there?.working && there.mount === mount && there.readOnly === readOnly;
      if (keep && isThere) {
        await grow(there, sizeBytes);
        return attachedFrom(there, format);
      }
      const attachment = await attachVolume({
        ...(keep ? await kept(volume, uri) : { uri }),
        name: volume,
        stateDirectory,
        readOnly,
        ...(mount === undefined ? {} : { mount }),
        ...(format === undefined ? {} : { format }),
      });
      return attachedFrom(attachment, format);
    },
    detach: async (volume) => {
      await detachVolume({ name: volume, stateDirectory });
      await closeKept(stateDirectory, volume);
    },
    list: async () =>
      listAttachments(stateDirectory).map((attachment) => ({
        ...attachedFrom(attachment, undefined),
        volume: attachment.name,
      })),
  };
}

function attachedFrom(attachment: Attachment, filesystem: string | undefined): Attached {
  const { device, mount, readOnly, way, working } = attachment;
  return {
    device: device === '' ? undefined : device,
    mount,
    filesystem,
    readOnly,
    how: working ? way : `${way}, broken`,
  };
}
