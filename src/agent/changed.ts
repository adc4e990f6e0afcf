/** What a snapshot has allocated, or what changed since another one: names are compared only. */
import type { ChangesObject } from '../api/changes-object.ts';
import type { RequestOf } from '../api/control.ts';
import { apiVersion } from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import { differenceOf } from '../volume/difference.ts';
import { nameHex } from '../volume/name.ts';
import { blockCount } from '../volume/tree.ts';
import type { Version } from '../volume/types.ts';
import type { VolumeApi } from '../volume/api.ts';
import type { AgentParts } from './parts.ts';

/** About 200 KiB of JSON. */
const rangesMost = 4096;
/** 16 MiB of tree: soon read, and at the least 16 GiB of two versions with blocks of 64 KiB. */
const pagesMost = 2048;

type ChangedRequest = RequestOf<'volume.changed'>;

/** `BadSize` for an offset behind the end of the snapshot. */
export async function changedOf(
  parts: AgentParts,
  request: ChangedRequest,
): Promise<ChangesObject> {
  const { volume } = parts.pools.locate(request.volume);
  const { from, to } = await versionsOf(volume, request);
  const { sizeBytes, blockBytes } = to;
  const { offset = 0, rangesMax = rangesMost } = request;
  if (offset > sizeBytes) {
    fail(
      'BadSize',
      `${offset} is past the end of snapshot ${request.snapshot}: ${sizeBytes} bytes`,
    );
  }
  if (rangesMax === 0) fail('BadArgument', 'an answer has room for one range at the least');
  const { ranges, nextBlock } = await differenceOf(
    (name, level, number) => pageOf(volume, request, () => volume.treePage(name, level, number)),
    {
      ...(from === undefined ? {} : { from }),
      to,
      // Of a block at the end that is not whole, nothing is left behind the end.
      firstBlock:
        offset === sizeBytes ? blockCount(sizeBytes, blockBytes) : Math.floor(offset / blockBytes),
      rangesMax: Math.min(rangesMax, rangesMost),
      pagesMax: pagesMost,
    },
  );
  return {
    kind: 'Changes',
    apiVersion,
    metadata: { name: request.volume, cluster: parts.info.cluster, uid: volume.id },
    spec: {
      volume: request.volume,
      snapshot: request.snapshot,
      ...(request.from === undefined ? {} : { from: request.from }),
    },
    status: {
      sizeBytes,
      blockBytes,
      root: nameHex(to.root),
      ...(from === undefined ? {} : { fromRoot: nameHex(from.root) }),
      ranges: ranges.map(({ first, count }) => {
        const start = first * blockBytes;
        return { offset: start, lengthBytes: Math.min(count * blockBytes, sizeBytes - start) };
      }),
      ...(nextBlock === undefined ? {} : { nextOffset: nextBlock * blockBytes }),
    },
  };
}

async function versionsOf(
  volume: VolumeApi,
  { snapshot, from }: ChangedRequest,
): Promise<{ readonly from: Version | undefined; readonly to: Version }> {
  return {
    from: from === undefined ? undefined : await volume.versionAt({ snapshot: from }),
    to: await volume.versionAt({ snapshot }),
  };
}

/** Nothing keeps the tree of a snapshot that is deleted meanwhile: that is no damage. */
async function pageOf(
  volume: VolumeApi,
  request: ChangedRequest,
  read: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  try {
    return await read();
  } catch (error) {
    await versionsOf(volume, request);
    throw error;
  }
}
