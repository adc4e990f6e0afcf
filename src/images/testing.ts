/** What the tests of this folder share. */
import type { ImagePorts } from './registry.ts';

/** Waits cost nothing. */
export const instantPorts: ImagePorts = {
  clock: {
    wallMs: () => 0,
    monotonicMs: () => 0,
    after: (_: number, run: () => void) => {
      queueMicrotask(run);
      return { cancel: () => undefined };
    },
  },
  random: { bytes: (count: number) => new Uint8Array(count), fraction: () => 0 },
};
