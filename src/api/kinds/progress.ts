/** How far a copy of a volume has come; shared by volumes and teleports. */
import { bytes, count, flag, optional, time } from './schema.ts';

export const progressFields = {
  percent: optional(
    count('Share of the bytes that are at the destination, rounded down.', { max: 100 }),
  ),
  totalBytes: optional(bytes('Bytes to be had at the destination: blocks that are not holes.')),
  presentBytes: optional(bytes('Of these, found at the destination before anything was sent.')),
  fetchedBytes: optional(bytes('Of these, sent so far: on demand and in the background.')),
  demandBytes: optional(bytes('Of the sent ones, those that a reader was waiting for.')),
  backgroundBytes: optional(bytes('Of the sent ones, those that nobody was waiting for.')),
  missingBytes: optional(bytes('Bytes that only the source has.')),
  wireBytes: optional(bytes('Bytes as they travelled: compressed, with framing.')),
  bytesPerSecond: optional(bytes('Bytes that arrive in a second, over the last seconds.')),
  etaSeconds: optional(count('Seconds until nothing is missing, at this rate.')),
};

export const progressTimes = {
  accessibleTime: optional(time('When the volume could be read and written at the destination.')),
  completionTime: optional(time('When it ended, well or not.')),
};

export const sourceConnected = {
  sourceConnected: optional(flag('The source can be reached now.')),
};
