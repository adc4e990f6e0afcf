/** `attach.ts` as the agent's port. */
import type { Attached, Attacher } from '../agent/ports.ts';
import { fail } from '../base/errors.ts';
import { type Attachment, attachVolume, detachVolume, listAttachments } from './attach.ts';

export function createAttacher(stateDirectory: string): Attacher {
  return {
    attach: async ({ volume, uri, mount, format, readOnly }) => {
      if (format !== undefined && format !== 'ext4' && format !== 'xfs') {
        fail('BadArgument', `a volume is formatted as ext4 or xfs, not ${format}`);
      }
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
