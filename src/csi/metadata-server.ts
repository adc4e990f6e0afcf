/**
 * The snapshot metadata service, "changed block tracking": which ranges of a snapshot hold data,
 * and which are not as in an earlier one. The agent compares names; nothing here reads data.
 */
import type { ResponseOf } from '../api/control.ts';
import { fail } from '../base/errors.ts';
import { codes, CsiError, required } from './errors.ts';
import { parseSnapshotId, type SnapshotId } from './ids.ts';
import type { AgentDoor, ControllerPorts } from './ports.ts';
import { VolumeStore } from './volume-store.ts';
import { type BlockMetadataDraft, blockMetadataTypes } from './wire/messages.ts';
import type { Answers, snapshotMetadata } from './wire/services.ts';

export function metadataServer(ports: ControllerPorts): Answers<typeof snapshotMetadata> {
  const store = new VolumeStore(ports);
  return {
    GetMetadataAllocated: ({ snapshotId: target, ...rest }) => {
      return answersOf(store, { base: undefined, target, ...rest });
    },
    GetMetadataDelta: ({ baseSnapshotId: base, targetSnapshotId: target, ...rest }) => {
      return answersOf(store, { base, target, ...rest });
    },
  };
}

interface Asked {
  /** Absent where everything that is allocated is asked for. */
  readonly base: string | undefined;
  readonly target: string;
  readonly startingOffset: number;
  readonly maxResults: number;
}

/** One message at the least: it says the capacity. */
async function* answersOf(store: VolumeStore, asked: Asked): AsyncGenerator<BlockMetadataDraft> {
  const { startingOffset, maxResults } = asked;
  if (startingOffset < 0) fail('BadSize', `there is no offset ${startingOffset}`);
  if (maxResults < 0) fail('BadArgument', `${maxResults} results at most`);
  const { agent, ...request } = await placeOf(store, asked);
  let root: string | undefined;
  let offset: number | undefined = startingOffset;
  while (offset !== undefined) {
    const { status }: ResponseOf<'volume.changed'> = await agent.control.call('volume.changed', {
      ...request,
      offset,
      ...(maxResults === 0 ? {} : { rangesMax: maxResults }),
    });
    const now = `${status.fromRoot ?? ''} ${status.root}`;
    if (root !== undefined && root !== now) {
      fail('Conflict', `a snapshot of volume ${request.volume} was replaced meanwhile`);
    }
    // The end of a piece of work need not be the end of a range: then nothing may have been found.
    if (root === undefined || status.ranges.length > 0) yield draftOf(status);
    root = now;
    offset = status.nextOffset;
  }
}

interface Place {
  readonly agent: AgentDoor;
  readonly volume: string;
  readonly snapshot: string;
  readonly from?: string;
}

async function placeOf(store: VolumeStore, { base, target }: Asked): Promise<Place> {
  const to = idOf(required(target, 'snapshot id'));
  const from = base === undefined ? undefined : idOf(required(base, 'base snapshot id'));
  const volume = (await store.find(to.volume)) ?? noSnapshot(target);
  if (from !== undefined && from.volume !== to.volume) {
    if ((await store.find(from.volume)) === undefined) noSnapshot(base);
    const message = `snapshots ${base} and ${target} are not of one volume`;
    throw new CsiError(codes.invalidArgument, 'BadArgument', message);
  }
  const agent = await store.agentOf(volume);
  return { agent, ...to, ...(from === undefined ? {} : { from: from.snapshot }) };
}

function idOf(id: string): SnapshotId {
  return parseSnapshotId(id) ?? noSnapshot(id);
}

function noSnapshot(id: string | undefined): never {
  return fail('NotFound', `there is no snapshot ${id}`);
}

function draftOf(status: ResponseOf<'volume.changed'>['status']): BlockMetadataDraft {
  return {
    blockMetadataType: blockMetadataTypes.variableLength,
    volumeCapacityBytes: status.sizeBytes,
    blockMetadata: status.ranges.map(({ offset, lengthBytes }) => ({
      byteOffset: offset,
      sizeBytes: lengthBytes,
    })),
  };
}
