/** Answers to `volume.*`: what people do with one volume at a time. */
import { apiVersion, listOf, type SnapshotObject, type VolumeObject } from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import { exactSize, formatMoment } from '../base/units.ts';
import type { Moment } from '../volume/api.ts';
import { changedOf } from './changed.ts';
import { refuseFollowed } from './followed.ts';
import type { AgentParts, HandlersOf } from './parts.ts';
import { retentionView } from './policies.ts';
import type { Located } from './pools.ts';
import { snapshotView, volumeView } from './views.ts';

type Plain = Omit<
  HandlersOf<'volume'>,
  | 'volume.import'
  | 'volume.export'
  | 'volume.verify'
  | 'volume.replay'
  | 'volume.watch'
  | 'volume.attach'
  | 'volume.detach'
  | 'volume.uri'
>;

export function viewOf(parts: AgentParts, located: Located): VolumeObject {
  const { name } = located.volume;
  return volumeView(located, {
    cluster: parts.info.cluster,
    policies: parts.policies,
    missingBytes: parts.teleports.missingBytes(name),
    attachedTo: parts.attachments.placeOf(name),
  });
}

/** Request fields as the engine's moment. */
export function momentFrom(request: {
  readonly atMs?: number;
  readonly snapshot?: string;
}): Moment {
  const { atMs, snapshot } = request;
  if (atMs !== undefined && snapshot !== undefined) {
    fail('BadArgument', 'a time and a snapshot both name a moment; give one of them');
  }
  return {
    ...(atMs === undefined ? {} : { atMs }),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
}

export function volumeHandlers(parts: AgentParts): Plain {
  return {
    ...lifeHandlers(parts),
    ...snapshotHandlers(parts),
    ...copyHandlers(parts),
    ...pastHandlers(parts),
  };
}

type Life =
  | 'volume.create'
  | 'volume.list'
  | 'volume.show'
  | 'volume.resize'
  | 'volume.delete'
  | 'volume.set-policy';

function lifeHandlers(parts: AgentParts): Pick<Plain, Life> {
  const { pools, policies } = parts;
  const show = (name: string) => viewOf(parts, pools.locate(name));
  return {
    'volume.create': async ({ name, sizeBytes, blockBytes, historyPolicy, pool }) => {
      const policy = policies.find(historyPolicy ?? 'none');
      const chosen = pools.pick(pool);
      pools.checkFree(name);
      const volume = await chosen.api.createVolume({
        name,
        sizeBytes,
        policy,
        ...(blockBytes === undefined ? {} : { blockBytes }),
      });
      policies.assign(volume.id, historyPolicy ?? 'none');
      tell(parts, 'Created', name, `volume ${name} was made`);
      return show(name);
    },
    'volume.list': async () =>
      listOf<VolumeObject>(
        'Volume',
        pools.volumes().map((located) => viewOf(parts, located)),
      ),
    'volume.show': async ({ name }) => show(name),
    'volume.resize': async ({ name, sizeBytes, force }) => {
      await pools.locate(name).volume.resize(sizeBytes, { force: force === true });
      tell(parts, 'Resized', name, `volume ${name} has ${exactSize(sizeBytes)} now`);
      return show(name);
    },
    'volume.delete': async ({ name, force }) => deleteVolume(parts, name, force === true),
    'volume.set-policy': async ({ name, historyPolicy }) => {
      const { volume } = pools.locate(name);
      await volume.setPolicy(policies.find(historyPolicy));
      policies.assign(volume.id, historyPolicy);
      tell(parts, 'PolicyChanged', name, `volume ${name} has history policy ${historyPolicy}`);
      return show(name);
    },
  };
}

/** Also cancels what still works on the volume: its import, its teleport. */
async function deleteVolume(
  parts: AgentParts,
  name: string,
  force: boolean,
): Promise<VolumeObject> {
  const { pools, jobs, attachments, teleports, policies, ports } = parts;
  const located = pools.locate(name);
  const before = viewOf(parts, located);
  if (parts.replicas.isFollowed(name)) refuseFollowed(located.volume);
  const place = attachments.placeOf(name);
  if (place !== undefined) fail('InUse', `volume ${name} is attached to ${place}; detach it first`);
  await jobs.cancelFor(name);
  if (pools.find(name) !== undefined) {
    const teleport = teleports.find(name);
    const arriving =
      teleport?.spec.destination.volume === name && teleport.status.phase === 'Accessible';
    if (arriving) await teleports.cancel(name, force);
    else if (parts.replicas.isLed(name)) await parts.replicas.delete(name, force);
    else await located.pool.api.deleteVolume(name, { force });
  }
  policies.keepOnly(new Set(pools.volumes().map(({ volume }) => volume.id)));
  await ports.metrics.forget('volume', name);
  tell(parts, 'Deleted', name, `volume ${name} was deleted`);
  return before;
}

type Snapshots =
  | 'volume.snapshot'
  | 'volume.hold'
  | 'volume.snapshot-held'
  | 'volume.release'
  | 'volume.delete-snapshot';

function snapshotHandlers(parts: AgentParts): Pick<Plain, Snapshots> {
  const { pools, ports, info, holds } = parts;
  const factsOf = ({ volume }: Located) => ({
    volume: volume.name,
    blockBytes: volume.blockSizeBytes,
    cluster: info.cluster,
  });
  const make = async (name: string, chosen: string, trace: boolean) => {
    const located = pools.locate(name);
    const made = await located.volume.snapshot(chosen, { trace });
    tell(parts, 'SnapshotMade', name, `snapshot ${chosen} of volume ${name} was made`);
    return snapshotView(made, factsOf(located));
  };
  return {
    'volume.snapshot': async ({ volume: name, name: given, trace }) =>
      make(name, given ?? nameFromTime(ports.clock.wallMs()), trace === true),
    'volume.hold': async ({ volumes, forMs }) => ({
      hold: await holds.take([...new Set(volumes.split(','))], forMs),
    }),
    'volume.snapshot-held': async ({ hold, name }) => {
      const made = await holds.use(hold, (volume) => make(volume, name, false));
      return listOf<SnapshotObject>('Snapshot', made);
    },
    'volume.release': async ({ hold }) => {
      holds.release(hold);
      return {};
    },
    'volume.delete-snapshot': async ({ volume: name, name: snapshot }) => {
      const located = pools.locate(name);
      const found = located.volume.listSnapshots().find((one) => one.name === snapshot);
      await located.volume.deleteSnapshot(snapshot);
      tell(parts, 'SnapshotDeleted', name, `snapshot ${snapshot} of volume ${name} was deleted`);
      return snapshotView(found!, factsOf(located));
    },
  };
}

function copyHandlers(parts: AgentParts): Pick<Plain, 'volume.clone'> {
  const { pools, policies, ports } = parts;
  return {
    'volume.clone': async ({ volume: source, name, atMs, snapshot, historyPolicy }) => {
      const { pool } = await pools.whole(source);
      // The default name of I-21: the source and the second.
      const seconds = Math.floor((atMs ?? ports.clock.wallMs()) / 1000);
      const chosen = name ?? `${source.slice(0, 52)}-${seconds}`;
      pools.checkFree(chosen);
      const moment = momentFrom({
        ...(atMs === undefined ? {} : { atMs }),
        ...(snapshot === undefined ? {} : { snapshot }),
      });
      const policy = policies.find(historyPolicy ?? 'none');
      const made = await pool.api.cloneVolume(source, moment, { name: chosen, policy });
      policies.assign(made.id, historyPolicy ?? 'none');
      tell(parts, 'Cloned', chosen, `volume ${chosen} is a clone of ${source}`);
      return viewOf(parts, pools.locate(chosen));
    },
  };
}

function pastHandlers(
  parts: AgentParts,
): Pick<Plain, 'volume.history' | 'volume.changed' | 'volume.restore' | 'volume.trace'> {
  const { pools, policies, info } = parts;
  return {
    'volume.history': async ({ volume: name }) => {
      const { volume } = pools.locate(name);
      const { policy, oldestMs, newestMs, points } = volume.history();
      const facts = { volume: name, blockBytes: volume.blockSizeBytes, cluster: info.cluster };
      return {
        kind: 'History',
        apiVersion,
        metadata: { name, cluster: info.cluster, uid: volume.id },
        status: {
          historyPolicy: policies.nameFor(volume.id, policy),
          retention: retentionView(policy),
          ...(oldestMs === undefined ? {} : { oldest: formatMoment(oldestMs) }),
          ...(newestMs === undefined ? {} : { newest: formatMoment(newestMs) }),
          points,
          snapshots: volume.listSnapshots().map((one) => snapshotView(one, facts)),
        },
      };
    },
    'volume.changed': (request) => changedOf(parts, request),
    'volume.restore': async ({ volume: name, ...request }) => {
      const moment = momentFrom(request);
      if (moment.atMs === undefined && moment.snapshot === undefined) {
        fail('BadArgument', 'restore needs a time or a snapshot');
      }
      await pools.locate(name).volume.restore(moment);
      tell(parts, 'Restored', name, `volume ${name} was restored`);
      return viewOf(parts, pools.locate(name));
    },
    'volume.trace': async ({ volume: name, snapshot }) => {
      const { volume } = pools.locate(name);
      if (snapshot !== undefined) checkTrace(parts, name, snapshot);
      return {
        kind: 'Trace',
        apiVersion,
        metadata: { name, cluster: info.cluster },
        blockBytes: volume.blockSizeBytes,
        ranges: volume.recentUse(snapshot).map(({ first, count }) => ({
          firstBlock: first,
          blocks: count,
        })),
      };
    },
  };
}

export function checkTrace(parts: AgentParts, name: string, snapshot: string): void {
  const { volume } = parts.pools.locate(name);
  const found = volume.listSnapshots().find((one) => one.name === snapshot);
  if (found === undefined) fail('NotFound', `volume ${name} has no snapshot ${snapshot}`);
  if (!found.hasTrace) {
    fail('NotFound', `snapshot ${snapshot} of ${name} was made without --trace`);
  }
}

/** `s20260131-120000`: sorts by time and is a valid name. */
function nameFromTime(nowMs: number): string {
  const [day = '', time = ''] = new Date(nowMs).toISOString().slice(0, 19).split('T');
  return `s${day.replaceAll('-', '')}-${time.replaceAll(':', '')}`;
}

function tell(parts: AgentParts, reason: string, name: string, note: string): void {
  parts.events.add({ type: 'Information', reason, kind: 'Volume', name, note });
}
