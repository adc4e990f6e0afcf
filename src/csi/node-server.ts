/**
 * The node service, one beside each agent. Staging attaches the volume and, for a file system,
 * mounts it once; publishing binds that into each pod. Everything can be repeated after a crash.
 */
import { asTransshipError, fail } from '../base/errors.ts';
import { type Access, accessOf, problemOf } from './capability.ts';
import { codes, CsiError, required } from './errors.ts';
import type { NodePorts } from './ports.ts';
import { topologyOf } from './topology.ts';
import { nodeCan, usageUnits, type VolumeCapability } from './wire/messages.ts';
import type { Answers, node } from './wire/services.ts';

type NodeAnswers = Answers<typeof node>;
type Ask<K extends keyof NodeAnswers> = Parameters<NodeAnswers[K]>[0];

const can: readonly number[] = [
  nodeCan.stageUnstageVolume,
  nodeCan.getVolumeStats,
  nodeCan.expandVolume,
  nodeCan.volumeCondition,
  nodeCan.singleNodeMultiWriter,
];

/** Devices have whole sectors only. */
const sectorBytes = 512;

export function nodeServer(ports: NodePorts): NodeAnswers {
  const calls = new NodeCalls(ports);
  const lanes = new Lanes();
  return {
    NodeStageVolume: (request) => lanes.run(request.volumeId, () => calls.stage(request)),
    NodeUnstageVolume: (request) => lanes.run(request.volumeId, () => calls.unstage(request)),
    NodePublishVolume: (request) => lanes.run(request.volumeId, () => calls.publish(request)),
    NodeUnpublishVolume: (request) => lanes.run(request.volumeId, () => calls.unpublish(request)),
    NodeGetVolumeStats: (request) => calls.stats(request),
    NodeExpandVolume: (request) => lanes.run(request.volumeId, () => calls.expand(request)),
    NodeGetCapabilities: async () => ({ capabilities: can.map((type) => ({ rpc: { type } })) }),
    NodeGetInfo: async () => ({
      nodeId: ports.node,
      accessibleTopology: topologyOf(ports.agent.name),
    }),
  };
}

/** One call at a time for each volume; a second one hears `ABORTED` and comes again. */
class Lanes {
  readonly #busy = new Set<string>();

  async run<T>(volume: string, work: () => Promise<T>): Promise<T> {
    if (volume !== '' && this.#busy.has(volume)) {
      fail('Conflict', `another call for volume ${volume} is at work`);
    }
    this.#busy.add(volume);
    try {
      return await work();
    } finally {
      this.#busy.delete(volume);
    }
  }
}

function accessIn(capability: VolumeCapability | undefined): Access {
  const asked = required(capability, 'volume capability');
  const problem = problemOf(asked);
  if (problem !== undefined) fail('BadArgument', problem);
  return accessOf(asked);
}

class NodeCalls {
  readonly #ports: NodePorts;

  constructor(ports: NodePorts) {
    this.#ports = ports;
  }

  async stage(request: Ask<'NodeStageVolume'>): Promise<object> {
    const volume = required(request.volumeId, 'volume id');
    const path = required(request.stagingTargetPath, 'staging target path');
    const access = accessIn(request.volumeCapability);
    const device = await this.#attach(volume);
    if (access.kind === 'block') return {};
    const { mounts } = this.#ports;
    const mounted = await mounts.at(path);
    if (mounted?.device === device) return {};
    if (mounted !== undefined) {
      fail('AlreadyExists', `${mounted.device} is mounted at ${path} already`);
    }
    const fsType = await this.#fileSystem(device, access);
    const { flags, readOnly } = access;
    await mounts.mount({ from: device, to: path, fsType, flags, readOnly });
    // The volume may have grown since it was last mounted.
    if (!readOnly) await mounts.grow(device, path);
    return {};
  }

  async unstage(request: Ask<'NodeUnstageVolume'>): Promise<object> {
    const volume = required(request.volumeId, 'volume id');
    const path = required(request.stagingTargetPath, 'staging target path');
    await this.#ports.mounts.unmount(path);
    try {
      await this.#ports.agent.control.call('volume.detach', { volume });
    } catch (error) {
      if (asTransshipError(error).reason !== 'NotFound') throw error;
    }
    return {};
  }

  async publish(request: Ask<'NodePublishVolume'>): Promise<object> {
    const volume = required(request.volumeId, 'volume id');
    const target = required(request.targetPath, 'target path');
    const access = accessIn(request.volumeCapability);
    if (request.stagingTargetPath === '') {
      const message = 'the request has no staging target path: stage the volume first';
      throw new CsiError(codes.failedPrecondition, 'BadArgument', message);
    }
    const { mounts } = this.#ports;
    const readOnly = request.readonly || access.readOnly;
    const there = await mounts.at(target);
    if (there !== undefined && there.readOnly === readOnly) return {};
    if (there !== undefined) fail('AlreadyExists', `${target} is mounted in another way already`);
    if (access.kind === 'block') {
      await mounts.bindDevice(await this.#deviceOf(volume), target, readOnly);
      return {};
    }
    if ((await mounts.at(request.stagingTargetPath)) === undefined) {
      const message = `volume ${volume} is not staged at ${request.stagingTargetPath}`;
      throw new CsiError(codes.failedPrecondition, 'NotAccessible', message);
    }
    await mounts.bindDirectory(request.stagingTargetPath, target, readOnly);
    return {};
  }

  async unpublish(request: Ask<'NodeUnpublishVolume'>): Promise<object> {
    required(request.volumeId, 'volume id');
    await this.#ports.mounts.unmount(required(request.targetPath, 'target path'));
    return {};
  }

  async stats(request: Ask<'NodeGetVolumeStats'>): ReturnType<NodeAnswers['NodeGetVolumeStats']> {
    const volume = required(request.volumeId, 'volume id');
    const path = required(request.volumePath, 'volume path');
    const shown = await this.#ports.agent.control.call('volume.show', { name: volume });
    const { bytes, inodes } = await this.#ports.mounts.usage(path);
    const bad = shown.status.conditions.filter(({ type, status }) => {
      return type === 'DataDamaged' ? status === 'True' : status === 'False';
    });
    return {
      usage: [
        {
          unit: usageUnits.bytes,
          total: bytes.total,
          available: bytes.free ?? 0,
          used: bytes.used ?? 0,
        },
        ...(inodes === undefined
          ? []
          : [
              {
                unit: usageUnits.inodes,
                total: inodes.total,
                available: inodes.free,
                used: inodes.used,
              },
            ]),
      ],
      volumeCondition: {
        abnormal: bad.length > 0,
        message: bad.map(({ reason, message }) => `${reason}: ${message}`).join('; ') || 'healthy',
      },
    };
  }

  async expand(request: Ask<'NodeExpandVolume'>): ReturnType<NodeAnswers['NodeExpandVolume']> {
    const volume = required(request.volumeId, 'volume id');
    const path = required(request.volumePath, 'volume path');
    const { mounts, agent } = this.#ports;
    const shown = await agent.control.call('volume.show', { name: volume });
    const { bytes } = await mounts.usage(path);
    const { sizeBytes, attachedTo } = shown.status;
    const wanted = request.capacityRange?.requiredBytes ?? 0;
    if (wanted > sizeBytes) {
      throw new CsiError(codes.outOfRange, 'BadSize', `volume ${volume} has ${sizeBytes} bytes`);
    }
    const mounted = await mounts.at(path);
    // What is not staged here grows when it is.
    if (attachedTo !== undefined) await this.#growDevice(volume, sizeBytes);
    // Of a device nothing is free or used.
    const isFileSystem = bytes.free !== undefined && request.volumeCapability?.block === undefined;
    if (isFileSystem && mounted?.readOnly === false) await mounts.grow(mounted.device, path);
    return { capacityBytes: sizeBytes };
  }

  async #attach(volume: string): Promise<string> {
    const attachment = await this.#ports.agent.control.call('volume.attach', {
      volume,
      keep: true,
    });
    const { device } = attachment.status;
    return device ?? fail('DiskFailed', `volume ${volume} was attached without a device`);
  }

  /** Asking again for what is attached makes its device as large as the volume is. */
  async #growDevice(volume: string, sizeBytes: number): Promise<void> {
    const device = await this.#attach(volume);
    const { bytes } = await this.#ports.mounts.usage(device);
    if (bytes.total > sizeBytes - sectorBytes) return;
    const what = `${device} of volume ${volume} has ${bytes.total} of ${sizeBytes} bytes`;
    throw new CsiError(
      codes.failedPrecondition,
      'InUse',
      `${what}: as it is attached it grows when its pod is started again`,
    );
  }

  /** Of a volume that must be staged: asking again for what is attached changes nothing. */
  async #deviceOf(volume: string): Promise<string> {
    return this.#attach(volume);
  }

  async #fileSystem(device: string, { fsType, readOnly }: Access): Promise<string> {
    const { mounts } = this.#ports;
    const found = await mounts.fileSystemOn(device);
    if (found !== undefined && found !== fsType) {
      fail('Conflict', `${device} has ${found}, not the ${fsType} that is asked for`);
    }
    if (found !== undefined) return found;
    if (readOnly) fail('BadArgument', 'a blank volume cannot be mounted read-only');
    await mounts.makeFileSystem(device, fsType);
    return fsType;
  }
}
