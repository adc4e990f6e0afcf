/** Answers about the doors of volumes: NBD addresses, attachments, watching; and the exports. */
import { fail } from '../base/errors.ts';
import { apiVersion } from '../api/objects.ts';
import type { BlockDevice } from '../base/ports.ts';
import { sleep } from '../base/sleep.ts';
import { Door } from './door.ts';
import { refuseFollowed } from './followed.ts';
import type { AgentParts, HandlersOf } from './parts.ts';
import type { Pools } from './pools.ts';
import { viewOf } from './volumes.ts';

type Doors = Pick<
  HandlersOf<'volume'>,
  'volume.watch' | 'volume.attach' | 'volume.detach' | 'volume.uri'
>;

/** How often watched volumes are looked at. */
const watchEveryMs = 500;

/** Every volume is an export of its name; a client of one holds a door of it. */
export class Exports {
  readonly #pools: Pools;
  readonly #doors = new Map<string, Door>();

  constructor(pools: Pools) {
    this.#pools = pools;
  }

  find(name: string): BlockDevice | undefined {
    const device = this.#pools.find(name)?.volume;
    const known = this.#doors.get(name);
    if (device === undefined) {
      this.#doors.delete(name);
      return undefined;
    }
    known?.lead(device);
    const door = known ?? new Door(device);
    this.#doors.set(name, door);
    return door;
  }

  list(): readonly string[] {
    return this.#pools.volumes().map(({ volume }) => volume.name);
  }

  /** `Conflict` where the volume is not led. */
  open(name: string): () => void {
    return this.#pools.locate(name).volume.openDoor('nbd');
  }

  /** What is behind the name is another device now. */
  changed(name: string): void {
    this.find(name);
  }

  /**
   * Resolves when nothing is on its way to the volume; what comes waits for the call of what this
   * resolves with. Also where nobody has opened it yet. `NotFound` without such a volume.
   */
  async hold(name: string): Promise<() => void> {
    this.#pools.locate(name);
    this.find(name);
    const door = this.#doors.get(name)!;
    await door.pause();
    return () => door.resume();
  }

  /** Runs `work` while no request is on its way; those that come wait for its end. */
  async whileStill<T>(name: string, work: () => Promise<T>): Promise<T> {
    const door = this.#doors.get(name);
    await door?.pause();
    try {
      return await work();
    } finally {
      this.changed(name);
      door?.resume();
    }
  }
}

export function doorHandlers(parts: AgentParts): Doors {
  const { pools, attachments, info } = parts;
  const nameOf = (volume: string) => {
    const located = pools.locate(volume).volume;
    if (parts.replicas.isFollowed(volume)) refuseFollowed(located);
    return located.name;
  };
  const uriOf = (volume: string) => {
    const name = nameOf(volume);
    const socket = encodeURIComponent(info.nbdSocket).replaceAll('%2F', '/');
    return `nbd+unix:///${name}?socket=${socket}`;
  };
  const tlsUriOf = (volume: string, certificates: string) => {
    const name = nameOf(volume);
    if (info.nbdAddress === undefined) {
      fail('Unsupported', 'this cluster serves no NBD over TLS; start it with --nbd-listen');
    }
    const directory = encodeURIComponent(certificates).replaceAll('%2F', '/');
    return `nbds://${info.nbdAddress}/${name}?tls-certificates=${directory}`;
  };
  return {
    'volume.uri': async ({ volume, tls }) => ({
      kind: 'VolumeUri',
      apiVersion,
      metadata: { name: volume, cluster: info.cluster },
      uri: tls === undefined ? uriOf(volume) : tlsUriOf(volume, tls),
    }),
    'volume.attach': async ({ volume, mount, format, readOnly, keep }) =>
      attachments.attach({
        volume,
        uri: uriOf(volume),
        mount,
        format,
        readOnly: readOnly === true,
        keep: keep === true,
        sizeBytes: pools.locate(volume).volume.sizeBytes,
      }),
    'volume.detach': async ({ volume }) => {
      // A volume that is gone may still have left a mount, so only an unknown one is refused.
      if (!attachments.names().includes(volume)) pools.locate(volume);
      return attachments.detach(volume);
    },
    'volume.watch': async ({ name }, { emit, signal }) => {
      const seen = new Map<string, string>();
      while (!signal.aborted) {
        const located = name === undefined ? pools.volumes() : [pools.locate(name)];
        for (const one of located) {
          const view = viewOf(parts, one);
          const text = JSON.stringify(view);
          if (seen.get(view.metadata.name) !== text) emit(view);
          seen.set(view.metadata.name, text);
        }
        await sleep(parts.ports.clock, watchEveryMs, signal);
      }
      return {};
    },
  };
}
