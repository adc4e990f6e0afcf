/** The agent's pools as one place: volume names are unique over all of them. */
import { fail } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import type { PoolApi, VolumeApi } from '../volume/api.ts';
import { followed, refuseFollowed } from './followed.ts';
import type { OpenPool } from './ports.ts';

export interface Located {
  readonly pool: OpenPool;
  readonly volume: VolumeApi;
}

/** More names than this in an error help nobody. */
const namesShown = 10;

/** Volumes that this agent leads: their content may lie elsewhere. */
export interface LedVolumes {
  find(name: string): VolumeApi | undefined;
  names(): readonly string[];
  /** Resolves when the replica here has everything acknowledged; rejects when it has not. */
  whole(name: string): Promise<unknown>;
}

export class Pools {
  readonly all: readonly OpenPool[];
  #led: LedVolumes = { find: () => undefined, names: () => [], whole: async () => undefined };

  constructor(all: readonly OpenPool[]) {
    this.all = all;
  }

  /** By name; without one the only pool, or the one with the most free space. */
  pick(name: string | undefined): OpenPool {
    if (name === undefined) {
      return this.all.toSorted((a, b) => freeBytes(b.api) - freeBytes(a.api))[0]!;
    }
    const found = this.all.find((pool) => pool.name === name);
    if (found !== undefined) return found;
    const known = this.all.map((pool) => pool.name).join(', ');
    fail('NotFound', `no pool '${printable(name)}' (there is ${known})`);
  }

  locate(name: string): Located {
    const found = this.find(name);
    if (found !== undefined) return found;
    const names = this.volumes().map(({ volume }) => volume.name);
    const more = names.length > namesShown ? ', ...' : '';
    const known =
      names.length === 0
        ? 'there are none'
        : `there is ${names.slice(0, namesShown).join(', ')}${more}`;
    fail('NotFound', `no volume '${printable(name)}' (${known})`);
  }

  find(name: string): Located | undefined {
    return this.volumes().find(({ volume }) => volume.name === name);
  }

  /**
   * Where its content can be copied from the pool: of a replicated volume only where it is led and
   * its replica lacks nothing. `Conflict` and `NotAccessible` say where else.
   */
  async whole(name: string): Promise<Located> {
    const located = this.locate(name);
    if (this.#led.find(name) !== undefined) {
      await this.#led.whole(name);
      return this.locate(name);
    }
    if (located.volume.replica.document !== undefined) refuseFollowed(located.volume);
    return located;
  }

  /** Volumes of these names are used through their leader from now on. */
  lead(led: LedVolumes): void {
    this.#led = led;
  }

  /** Sorted by name. */
  volumes(): readonly Located[] {
    const here = this.all.flatMap((pool) =>
      pool.api.volumes().map((volume) => ({ pool, volume: this.#asUsed(volume) })),
    );
    return [...here, ...this.#ledElsewhere(here)].toSorted((a, b) => {
      return a.volume.name < b.volume.name ? -1 : 1;
    });
  }

  #asUsed(volume: VolumeApi): VolumeApi {
    if (volume.replica.document === undefined) return volume;
    return this.#led.find(volume.name) ?? followed(volume);
  }

  /** Led here, with every replica on other agents. */
  #ledElsewhere(here: readonly Located[]): Located[] {
    const pool = this.all[0];
    if (pool === undefined) return [];
    return this.#led.names().flatMap((name) => {
      const volume = this.#led.find(name);
      const isHere = here.some((one) => one.volume.name === name);
      return volume === undefined || isHere ? [] : [{ pool, volume }];
    });
  }

  /** `AlreadyExists` also for a name in another pool, which the engine cannot see. */
  checkFree(name: string): void {
    const found = this.find(name);
    if (found !== undefined) fail('AlreadyExists', `volume ${name} exists already`);
  }
}

function freeBytes(pool: PoolApi): number {
  const { freeBytes: free, readOnly } = pool.status();
  return readOnly ? -1 : free;
}
