/** Who agents of a simulation are to each other: all of it follows from their names. */
import { createHash } from 'node:crypto';
import type { Disk } from '../../src/base/ports.ts';
import { openRegistry } from '../../src/peer/registry.ts';
import { wallStartMs } from './scheduler.ts';

const fingerprintOf = (name: string) => createHash('sha256').update(name).digest('hex');
const idOf = (name: string) => fingerprintOf(name).slice(0, 32);
export const addressOf = (name: string) => `${name}:7441`;

export function selfOf(name: string) {
  return {
    id: idOf(name),
    name,
    fingerprint: fingerprintOf(name),
    address: addressOf(name),
    agentVersion: '0.1.0',
    capabilities: [],
    addresses: () => [addressOf(name)],
  };
}

/** Trust in others, as joining makes it; with `memberOf` as agents of one cluster. */
export function trust(
  home: Disk,
  own: string,
  { names, memberOf }: { readonly names: readonly string[]; readonly memberOf?: string },
): void {
  const registry = openRegistry(home, { id: idOf(own), name: own });
  for (const name of names) {
    if (name === own) continue;
    const { id, fingerprint } = selfOf(name);
    const addresses = [addressOf(name)];
    const record = { name, id, addresses, fingerprint, addedMs: wallStartMs };
    registry.put(memberOf === undefined ? record : { ...record, memberOf });
  }
}
