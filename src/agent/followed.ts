/** A volume of which this agent keeps a replica that another agent leads: looked at, not used. */
import { fail } from '../base/errors.ts';
import type { VolumeApi, VolumeStatus } from '../volume/api.ts';

/** What would make this replica differ from the others, or show what is not theirs. */
const refused: ReadonlySet<string | symbol> = new Set([
  'openDoor',
  'read',
  'write',
  'writeZeroes',
  'flush',
  'snapshot',
  'deleteSnapshot',
  'resize',
  'setPolicy',
  'restore',
  'setOrigin',
  'putNames',
]);

export function followed(volume: VolumeApi): VolumeApi {
  const refuse = () => refuseFollowed(volume);
  return new Proxy(volume, {
    get(target, key) {
      if (refused.has(key)) return refuse;
      if (key === 'status') return () => statusOf(target);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

export function refuseFollowed(volume: VolumeApi): never {
  const { leader = '' } = volume.replica.document?.promised ?? {};
  const where = leader === '' ? 'no agent leads it now' : `agent ${leader} led it last`;
  fail('Conflict', `volume ${volume.name} is replicated and not led here: ${where}`);
}

/** Its origin is another replica, which is nobody's teleport. */
function statusOf(volume: VolumeApi): VolumeStatus {
  return { ...volume.status(), origin: undefined };
}
