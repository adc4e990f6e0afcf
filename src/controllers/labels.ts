/** Labels, annotations and finalizers that controllers write: a contract with users. */
import { ourLabels } from '../workload/ours.ts';

export const driver = 'transship.dev';

export const labels = {
  /** Of a Pool: the agent that has it, and its name there. */
  agent: 'transship.dev/agent',
  pool: 'transship.dev/pool',
  /** Of a Pool, as on its node: to choose pools by node. */
  hostname: 'kubernetes.io/hostname',
  /** The object was made because an agent has the thing, not the other way round. */
  adopted: 'transship.dev/adopted',
  /** A history policy that comes with Transship. */
  preset: 'transship.dev/preset',
  /** Of a VolumeReplica: its volume. */
  volume: 'transship.dev/volume',
  /** What a Teleport made at its destination. */
  teleport: 'transship.dev/teleport-uid',
  /** A Volume made for a claim. */
  claim: 'transship.dev/claim-uid',
  /** A Volume that only shortens later copies of one claim; the same for all of them. */
  stage: 'transship.dev/stage',
  /** What a migration made for itself: its uid. */
  migration: ourLabels.migration,
  /** Jobs and pods that run a hook: its name. Never copied, and no writer of the application. */
  hook: ourLabels.hook,
  /** Pods and Secrets that copy a volume: uid of the VolumeTransfer. Never copied, as well. */
  transfer: ourLabels.transfer,
  /** Of such a pod: `server` or `client`. */
  moverSide: 'transship.dev/mover-side',
} as const;

export const annotations = {
  /** `true`: delete a volume although others use it. */
  forceDelete: 'transship.dev/force-delete',
  /** Any new value asks for a check of the way to a cluster; `checked` repeats the last one. */
  checkRequested: 'transship.dev/check-requested',
  checked: 'transship.dev/checked',
  /** On a claim: clone the volume of another claim, as it was at a time (I-22). */
  sourceClaim: 'transship.dev/source-claim',
  sourceTime: 'transship.dev/source-time',
  historyPolicy: 'transship.dev/history-policy',
  /** On what was made for a claim or teleport: `namespace/name` of it. */
  madeFor: 'transship.dev/made-for',
  /** The agent that holds a volume; of a replicated one, that leads it. */
  agent: 'transship.dev/agent',
  /** The agent that is to lead a replicated volume, because it is to be used there; taken away
   * when it does. */
  lead: 'transship.dev/lead',
  /** The agent whose wish to lead was met: it keeps the lead although it has no replica. */
  leadGranted: 'transship.dev/lead-granted',
  selectedNode: 'volume.kubernetes.io/selected-node',
  provisionedBy: 'pv.kubernetes.io/provisioned-by',
  /** On claims and PersistentVolumes: uid of the VolumeTransfer that made them. */
  transferred: 'transship.dev/transferred-by',
  /** On a PersistentVolume whose data another cluster uses now: by which transfer; its policy. */
  movedBy: 'transship.dev/moved-by',
  reclaimPolicy: 'transship.dev/reclaim-policy-before',
  /** On Secrets of movers: what the pods forget, and the authority of their certificates. */
  moverMemory: 'transship.dev/mover-memory',
  moverAuthority: 'transship.dev/mover-authority',
  /** On a Repository, `true`: clusters that use it have no direct way, so none is tried. */
  noDirectWay: 'transship.dev/no-direct-way',
  /** On a claim whose content is being overwritten: uid of the VolumeTransfer that does it. */
  torn: 'transship.dev/torn',
  /** On a claim that copies ahead made, until a cutover starts on it: uid of the plan. */
  staged: 'transship.dev/staged',
  /** On a claim that must not be written to, because it moves: uid of the plan. */
  moving: 'transship.dev/moving',
  /** On a namespace: uid of the Migration that made it. */
  madeBy: 'transship.dev/made-by',
  /** On a transfer: the `spec.retry` of its Migration that made it. */
  retry: 'transship.dev/retry',
  /** On a last transfer: who wrote to its source afterwards. It is no copy any more. */
  writer: 'transship.dev/writer-seen',
} as const;

export const finalizers = {
  volume: 'transship.dev/volume',
  persistentVolume: 'transship.dev/persistent-volume',
  historyPolicy: 'transship.dev/history-policy',
  teleport: 'transship.dev/teleport',
  savedVersion: 'transship.dev/saved-version',
  volumeTransfer: 'transship.dev/volume-transfer',
  /** Of a Plan while a migration of it is open, and of that migration. */
  plan: 'transship.dev/plan',
  /** Of a Cutover that a Rollback would go back from. */
  rollback: 'transship.dev/rollback',
  migration: 'transship.dev/migration',
  replication: 'transship.dev/replication',
} as const;

const sourcePrefix = 'transship.dev/teleport-';

/** Keeps a source volume while this teleport may still need it. */
export function sourceFinalizer(teleportUid: string): string {
  return `${sourcePrefix}${teleportUid}`;
}

export function isSourceFinalizer(finalizer: string): boolean {
  return finalizer.startsWith(sourcePrefix);
}
