/** The agent's pools as one place: volume names are unique over all of them. */
import { fail } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import type { PoolApi, VolumeApi } from '../volume/api.ts';
import type { OpenPool } from './ports.ts';

export interface Located {
  readonly pool: OpenPool;
  readonly volume: VolumeApi;
}

/** More names than this in an error help nobody. */
const namesShown = 10;

export class Pools {
  readonly all: readonly OpenPool[];

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

  /** Sorted by name. */
  volumes(): readonly Located[] {
    return this.all
      .flatMap((pool) => pool.api.volumes().map((volume) => ({ pool, volume })))
      .toSorted((a, b) => (a.volume.name < b.volume.name ? -1 : 1));
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
