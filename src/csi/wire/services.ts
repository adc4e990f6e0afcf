/** Which calls there are, of which service, with which messages. */
import type { DraftOf, Message, MessageOf } from './message.ts';
import * as m from './messages.ts';

export interface Call<
  In extends Message = Message,
  Out extends Message = Message,
  Many extends boolean = boolean,
> {
  readonly asks: In;
  readonly answers: Out;
  /** Whether one request is answered by messages one after another. */
  readonly many: Many;
}

export type Calls = Readonly<Record<string, Call>>;

export interface Service<C extends Calls = Calls> {
  /** As in the path of a call: `csi.v1.Node`. */
  readonly name: string;
  readonly calls: C;
}

/** What answers the calls of a service; it rejects with a `TransshipError`. */
export type Answers<S> =
  S extends Service<infer C>
    ? {
        readonly [K in keyof C]: (
          request: MessageOf<C[K]['asks']>,
        ) => C[K]['many'] extends true
          ? AsyncIterable<DraftOf<C[K]['answers']>>
          : Promise<DraftOf<C[K]['answers']>>;
      }
    : never;

function call<In extends Message, Out extends Message>(
  asks: In,
  answers: Out,
): Call<In, Out, false> {
  return { asks, answers, many: false };
}

/** Nothing more is asked of the answer once its reader has gone away. */
function stream<In extends Message, Out extends Message>(
  asks: In,
  answers: Out,
): Call<In, Out, true> {
  return { asks, answers, many: true };
}

function service<const C extends Calls>(name: string, calls: C): Service<C> {
  return { name, calls };
}

export const identity = service('csi.v1.Identity', {
  GetPluginInfo: call(m.empty, m.pluginInfo),
  GetPluginCapabilities: call(m.empty, m.pluginCapabilities),
  Probe: call(m.empty, m.probed),
});

export const controller = service('csi.v1.Controller', {
  CreateVolume: call(m.createVolume, m.createdVolume),
  DeleteVolume: call(m.deleteVolume, m.empty),
  ControllerPublishVolume: call(m.publishVolume, m.publishedVolume),
  ControllerUnpublishVolume: call(m.unpublishVolume, m.empty),
  ValidateVolumeCapabilities: call(m.validateCapabilities, m.validatedCapabilities),
  ListVolumes: call(m.listVolumes, m.listedVolumes),
  ControllerGetVolume: call(m.getVolume, m.gotVolume),
  GetCapacity: call(m.getCapacity, m.gotCapacity),
  ControllerGetCapabilities: call(m.empty, m.rpcCapabilities),
  CreateSnapshot: call(m.createSnapshot, m.createdSnapshot),
  DeleteSnapshot: call(m.deleteSnapshot, m.empty),
  ListSnapshots: call(m.listSnapshots, m.listedSnapshots),
  ControllerModifyVolume: call(m.modifyVolume, m.empty),
  ControllerExpandVolume: call(m.expandVolume, m.expandedVolume),
});

export const groupController = service('csi.v1.GroupController', {
  GroupControllerGetCapabilities: call(m.empty, m.rpcCapabilities),
  CreateVolumeGroupSnapshot: call(m.createGroupSnapshot, m.createdGroupSnapshot),
  DeleteVolumeGroupSnapshot: call(m.deleteGroupSnapshot, m.empty),
  GetVolumeGroupSnapshot: call(m.getGroupSnapshot, m.gotGroupSnapshot),
});

export const snapshotMetadata = service('csi.v1.SnapshotMetadata', {
  GetMetadataAllocated: stream(m.getAllocated, m.blockMetadata),
  GetMetadataDelta: stream(m.getDelta, m.blockMetadata),
});

export const node = service('csi.v1.Node', {
  NodeStageVolume: call(m.stageVolume, m.empty),
  NodeUnstageVolume: call(m.unstageVolume, m.empty),
  NodePublishVolume: call(m.nodePublishVolume, m.empty),
  NodeUnpublishVolume: call(m.nodeUnpublishVolume, m.empty),
  NodeGetVolumeStats: call(m.getStats, m.gotStats),
  NodeExpandVolume: call(m.nodeExpandVolume, m.nodeExpandedVolume),
  NodeGetCapabilities: call(m.empty, m.rpcCapabilities),
  NodeGetInfo: call(m.empty, m.nodeInfo),
});

/** How a kubelet is told that the driver is there. */
export const registration = service('pluginregistration.Registration', {
  GetInfo: call(m.empty, m.registrationInfo),
  NotifyRegistrationStatus: call(m.registrationStatus, m.empty),
});
