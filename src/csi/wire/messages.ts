/**
 * Messages of the Container Storage Interface 1.12 that this driver reads or writes: names, field
 * numbers and meaning are those of its specification. Secrets are left out: no call needs any.
 */
import {
  type DraftOf,
  flag,
  int32,
  int64,
  type MessageOf,
  message,
  nested,
  nestedMany,
  text,
  textMap,
  texts,
} from './message.ts';

export const empty = message('Empty', {});

const boolValue = message('BoolValue', { value: flag(1) });
const int64Value = message('Int64Value', { value: int64(1) });
const timestamp = message('Timestamp', { seconds: int64(1), nanos: int32(2) });

const blockVolume = message('BlockVolume', {});
const mountVolume = message('MountVolume', {
  fsType: text(1),
  mountFlags: texts(2),
  volumeMountGroup: text(3),
});
const accessMode = message('AccessMode', { mode: int32(1) });
export const accessModes = {
  unknown: 0,
  singleNodeWriter: 1,
  singleNodeReaderOnly: 2,
  multiNodeReaderOnly: 3,
  multiNodeSingleWriter: 4,
  multiNodeMultiWriter: 5,
  singleNodeSingleWriter: 6,
  singleNodeMultiWriter: 7,
} as const;

export const volumeCapability = message('VolumeCapability', {
  block: nested(1, blockVolume),
  mount: nested(2, mountVolume),
  accessMode: nested(3, accessMode),
});
export type VolumeCapability = MessageOf<typeof volumeCapability>;

export const capacityRange = message('CapacityRange', {
  requiredBytes: int64(1),
  limitBytes: int64(2),
});
export type CapacityRange = MessageOf<typeof capacityRange>;

export const topology = message('Topology', { segments: textMap(1) });
export type Topology = MessageOf<typeof topology>;

const topologyRequirement = message('TopologyRequirement', {
  requisite: nestedMany(1, topology),
  preferred: nestedMany(2, topology),
});
export type TopologyRequirement = MessageOf<typeof topologyRequirement>;

const snapshotSource = message('SnapshotSource', { snapshotId: text(1) });
const volumeSource = message('VolumeSource', { volumeId: text(1) });
const contentSource = message('VolumeContentSource', {
  snapshot: nested(1, snapshotSource),
  volume: nested(2, volumeSource),
});
export type ContentSource = MessageOf<typeof contentSource>;

const volume = message('Volume', {
  capacityBytes: int64(1),
  volumeId: text(2),
  volumeContext: textMap(3),
  contentSource: nested(4, contentSource),
  accessibleTopology: nestedMany(5, topology),
});
export type VolumeDraft = DraftOf<typeof volume>;

const snapshot = message('Snapshot', {
  sizeBytes: int64(1),
  snapshotId: text(2),
  sourceVolumeId: text(3),
  creationTime: nested(4, timestamp),
  readyToUse: flag(5),
  groupSnapshotId: text(6),
});
export type SnapshotDraft = DraftOf<typeof snapshot>;

const volumeCondition = message('VolumeCondition', { abnormal: flag(1), message: text(2) });
const volumeStatus = message('VolumeStatus', {
  publishedNodeIds: texts(1),
  volumeCondition: nested(2, volumeCondition),
});

// Identity.

const pluginService = message('PluginService', { type: int32(1) });
const volumeExpansion = message('PluginVolumeExpansion', { type: int32(1) });
const pluginCapability = message('PluginCapability', {
  service: nested(1, pluginService),
  volumeExpansion: nested(2, volumeExpansion),
});
export const pluginServices = {
  controller: 1,
  topology: 2,
  groupController: 3,
  metadata: 4,
} as const;
export const expansionModes = { online: 1, offline: 2 } as const;

export const pluginInfo = message('GetPluginInfoResponse', {
  name: text(1),
  vendorVersion: text(2),
  manifest: textMap(3),
});
export const pluginCapabilities = message('GetPluginCapabilitiesResponse', {
  capabilities: nestedMany(1, pluginCapability),
});
export const probed = message('ProbeResponse', { ready: nested(1, boolValue) });

// Controller.

export const createVolume = message('CreateVolumeRequest', {
  name: text(1),
  capacityRange: nested(2, capacityRange),
  volumeCapabilities: nestedMany(3, volumeCapability),
  parameters: textMap(4),
  volumeContentSource: nested(6, contentSource),
  accessibilityRequirements: nested(7, topologyRequirement),
  mutableParameters: textMap(8),
});
export const createdVolume = message('CreateVolumeResponse', { volume: nested(1, volume) });
export const deleteVolume = message('DeleteVolumeRequest', { volumeId: text(1) });

export const publishVolume = message('ControllerPublishVolumeRequest', {
  volumeId: text(1),
  nodeId: text(2),
  volumeCapability: nested(3, volumeCapability),
  readonly: flag(4),
  volumeContext: textMap(6),
});
export const publishedVolume = message('ControllerPublishVolumeResponse', {
  publishContext: textMap(1),
});
export const unpublishVolume = message('ControllerUnpublishVolumeRequest', {
  volumeId: text(1),
  nodeId: text(2),
});

export const validateCapabilities = message('ValidateVolumeCapabilitiesRequest', {
  volumeId: text(1),
  volumeContext: textMap(2),
  volumeCapabilities: nestedMany(3, volumeCapability),
  parameters: textMap(4),
  mutableParameters: textMap(6),
});
const confirmed = message('Confirmed', {
  volumeContext: textMap(1),
  volumeCapabilities: nestedMany(2, volumeCapability),
  parameters: textMap(3),
  mutableParameters: textMap(4),
});
export const validatedCapabilities = message('ValidateVolumeCapabilitiesResponse', {
  confirmed: nested(1, confirmed),
  message: text(2),
});

export const listVolumes = message('ListVolumesRequest', {
  maxEntries: int32(1),
  startingToken: text(2),
});
const volumeEntry = message('VolumeEntry', {
  volume: nested(1, volume),
  status: nested(2, volumeStatus),
});
export const listedVolumes = message('ListVolumesResponse', {
  entries: nestedMany(1, volumeEntry),
  nextToken: text(2),
});
export const getVolume = message('ControllerGetVolumeRequest', { volumeId: text(1) });
export const gotVolume = message('ControllerGetVolumeResponse', {
  volume: nested(1, volume),
  status: nested(2, volumeStatus),
});
export type VolumeEntryDraft = DraftOf<typeof volumeEntry>;

export const getCapacity = message('GetCapacityRequest', {
  volumeCapabilities: nestedMany(1, volumeCapability),
  parameters: textMap(2),
  accessibleTopology: nested(3, topology),
});
export const gotCapacity = message('GetCapacityResponse', {
  availableCapacity: int64(1),
  maximumVolumeSize: nested(2, int64Value),
  minimumVolumeSize: nested(3, int64Value),
});

const rpc = message('CapabilityRPC', { type: int32(1) });
const rpcCapability = message('RPCCapability', { rpc: nested(1, rpc) });
/** What a controller, a node and a group controller say they can: numbers of each its own. */
export const rpcCapabilities = message('RPCCapabilitiesResponse', {
  capabilities: nestedMany(1, rpcCapability),
});
export const controllerCan = {
  createDeleteVolume: 1,
  publishUnpublishVolume: 2,
  listVolumes: 3,
  getCapacity: 4,
  createDeleteSnapshot: 5,
  listSnapshots: 6,
  cloneVolume: 7,
  publishReadonly: 8,
  expandVolume: 9,
  listVolumesPublishedNodes: 10,
  volumeCondition: 11,
  getVolume: 12,
  singleNodeMultiWriter: 13,
  modifyVolume: 14,
} as const;
export const nodeCan = {
  stageUnstageVolume: 1,
  getVolumeStats: 2,
  expandVolume: 3,
  volumeCondition: 4,
  singleNodeMultiWriter: 5,
} as const;

export const createSnapshot = message('CreateSnapshotRequest', {
  sourceVolumeId: text(1),
  name: text(2),
  parameters: textMap(4),
});
export const createdSnapshot = message('CreateSnapshotResponse', { snapshot: nested(1, snapshot) });
export const deleteSnapshot = message('DeleteSnapshotRequest', { snapshotId: text(1) });
export const listSnapshots = message('ListSnapshotsRequest', {
  maxEntries: int32(1),
  startingToken: text(2),
  sourceVolumeId: text(3),
  snapshotId: text(4),
});
const snapshotEntry = message('SnapshotEntry', { snapshot: nested(1, snapshot) });
export const listedSnapshots = message('ListSnapshotsResponse', {
  entries: nestedMany(1, snapshotEntry),
  nextToken: text(2),
});

export const modifyVolume = message('ControllerModifyVolumeRequest', {
  volumeId: text(1),
  mutableParameters: textMap(3),
});

// Group controller.

const groupSnapshot = message('VolumeGroupSnapshot', {
  groupSnapshotId: text(1),
  snapshots: nestedMany(2, snapshot),
  creationTime: nested(3, timestamp),
  readyToUse: flag(4),
});
export type GroupSnapshotDraft = DraftOf<typeof groupSnapshot>;
export const createGroupSnapshot = message('CreateVolumeGroupSnapshotRequest', {
  name: text(1),
  sourceVolumeIds: texts(2),
  parameters: textMap(4),
});
export const createdGroupSnapshot = message('CreateVolumeGroupSnapshotResponse', {
  groupSnapshot: nested(1, groupSnapshot),
});
export const deleteGroupSnapshot = message('DeleteVolumeGroupSnapshotRequest', {
  groupSnapshotId: text(1),
  snapshotIds: texts(2),
});
export const getGroupSnapshot = message('GetVolumeGroupSnapshotRequest', {
  groupSnapshotId: text(1),
  snapshotIds: texts(2),
});
export const gotGroupSnapshot = message('GetVolumeGroupSnapshotResponse', {
  groupSnapshot: nested(1, groupSnapshot),
});
export const groupControllerCan = { createDeleteGetVolumeGroupSnapshot: 1 } as const;

// Snapshot metadata.

export const getAllocated = message('GetMetadataAllocatedRequest', {
  snapshotId: text(1),
  startingOffset: int64(2),
  maxResults: int32(3),
});
export const getDelta = message('GetMetadataDeltaRequest', {
  baseSnapshotId: text(1),
  targetSnapshotId: text(2),
  startingOffset: int64(3),
  maxResults: int32(4),
});
const blockRange = message('BlockMetadata', { byteOffset: int64(1), sizeBytes: int64(2) });
/** The answers to both have the same fields. */
export const blockMetadata = message('GetMetadataResponse', {
  blockMetadataType: int32(1),
  volumeCapacityBytes: int64(2),
  blockMetadata: nestedMany(3, blockRange),
});
export type BlockMetadataDraft = DraftOf<typeof blockMetadata>;
export const blockMetadataTypes = { fixedLength: 1, variableLength: 2 } as const;

// Growing.

export const expandVolume = message('ControllerExpandVolumeRequest', {
  volumeId: text(1),
  capacityRange: nested(2, capacityRange),
  volumeCapability: nested(4, volumeCapability),
});
export const expandedVolume = message('ControllerExpandVolumeResponse', {
  capacityBytes: int64(1),
  nodeExpansionRequired: flag(2),
});

// Node.

export const stageVolume = message('NodeStageVolumeRequest', {
  volumeId: text(1),
  publishContext: textMap(2),
  stagingTargetPath: text(3),
  volumeCapability: nested(4, volumeCapability),
  volumeContext: textMap(6),
});
export const unstageVolume = message('NodeUnstageVolumeRequest', {
  volumeId: text(1),
  stagingTargetPath: text(2),
});
export const nodePublishVolume = message('NodePublishVolumeRequest', {
  volumeId: text(1),
  publishContext: textMap(2),
  stagingTargetPath: text(3),
  targetPath: text(4),
  volumeCapability: nested(5, volumeCapability),
  readonly: flag(6),
  volumeContext: textMap(8),
});
export const nodeUnpublishVolume = message('NodeUnpublishVolumeRequest', {
  volumeId: text(1),
  targetPath: text(2),
});
export const getStats = message('NodeGetVolumeStatsRequest', {
  volumeId: text(1),
  volumePath: text(2),
  stagingTargetPath: text(3),
});
const usage = message('VolumeUsage', {
  available: int64(1),
  total: int64(2),
  used: int64(3),
  unit: int32(4),
});
export const usageUnits = { bytes: 1, inodes: 2 } as const;
export const gotStats = message('NodeGetVolumeStatsResponse', {
  usage: nestedMany(1, usage),
  volumeCondition: nested(2, volumeCondition),
});
export const nodeInfo = message('NodeGetInfoResponse', {
  nodeId: text(1),
  maxVolumesPerNode: int64(2),
  accessibleTopology: nested(3, topology),
});
export const nodeExpandVolume = message('NodeExpandVolumeRequest', {
  volumeId: text(1),
  volumePath: text(2),
  capacityRange: nested(3, capacityRange),
  stagingTargetPath: text(4),
  volumeCapability: nested(5, volumeCapability),
});
export const nodeExpandedVolume = message('NodeExpandVolumeResponse', { capacityBytes: int64(1) });

// Registration of the driver with the kubelet (k8s.io/kubelet, pluginregistration v1).

export const registrationInfo = message('PluginInfo', {
  type: text(1),
  name: text(2),
  endpoint: text(3),
  supportedVersions: texts(4),
});
export const registrationStatus = message('RegistrationStatus', {
  pluginRegistered: flag(1),
  error: text(2),
});
