/** `attach.ts` as the agent's port. */
import type { Attached, Attacher } from '../agent/ports.ts';
import { fail } from '../base/errors.ts';
import { type Attachment, attachVolume, detachVolume, listAttachments } from './attach.ts';
import { closeKept, openKept } from './door-keeper.ts';
import { parseNbdUri } from './nbd-client.ts';

/** `mainPath`: of this program, for the process that keeps devices while the agent is away. */
export function createAttacher(stateDirectory: string, mainPath: string): Attacher {
  const keptUri = async (name: string, uri: string): Promise<string> => {
    const { socketPath } = parseNbdUri(uri);
    if (socketPath === undefined) fail('BadArgument', `${uri} is not on this host`);
    return openKept({ directory: stateDirectory, mainPath }, { name, socketPath });
  };
  return {
    attach: async ({ volume, uri: agentUri, mount, format, readOnly, keep }) => {
      if (format !== undefined && format !== 'ext4' && format !== 'xfs') {
        fail('BadArgument', `a volume is formatted as ext4 or xfs, not ${format}`);
      }
      const there = listAttachments(stateDirectory).find(({ name }) => name === volume);
      // Its door is in use: opening it anew would fail what waits there.
      const isThere = there?.working && there.mount === mount && there.readOnly === readOnly;
      if (keep && isThere) return attachedFrom(there, format);
      const uri = keep ? await keptUri(volume, agentUri) : agentUri;
      const attachment = await attachVolume({
        uri,
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
