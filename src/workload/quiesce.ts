/**
 * Stopping all that writes to some claims. Pure decisions: what is to be changed, with the record
 * that undoes it; who stands in the way; and whether a writer is left. Nothing is stopped that does
 * not run, so nothing is started afterwards that did not.
 */
import type { KubeObject } from '../kube/objects.ts';
import { hasCondition } from './exclusions.ts';
import { type FieldPath, fieldsListAt, numberAt, textAt, valueAt } from './fields.ts';
import {
  isReferenced,
  managersOf,
  operatorStopOf,
  pauseOf,
  type Placed,
  scales,
} from './managers.ts';
import { kindText, nameOf, nameText, type ObjectName } from './names.ts';
import { claimsOfPodSpec, isClaimOfSet, podSpecPaths } from './pod-specs.ts';
import { stripKind } from './strip-kinds.ts';
import { stripMetadata } from './strip-metadata.ts';
import { joinRecords, type StopAction, type UndoField, type UndoRecord } from './undo.ts';

/** What was read of the namespaces, whole objects. */
export interface QuiesceView {
  /** Pods, and everything that makes pods, directly or not. */
  readonly workloads: readonly Placed[];
  /** Autoscalers, and managers that labels or annotations name. */
  readonly managers: readonly Placed[];
  /** `GROUP/KIND` of what has a `scale` sub-resource. */
  readonly scalable: ReadonlySet<string>;
}

export interface QuiesceOptions {
  /** `namespace/claim`; undefined: all that runs is stopped, whatever it mounts. */
  readonly claims?: ReadonlySet<string>;
}

export interface Blocker {
  readonly name: ObjectName;
  readonly message: string;
  readonly remedy: string;
}

export interface QuiescePlan {
  /** In the order of stopping: managers first, so that they undo nothing. */
  readonly records: readonly UndoRecord[];
  readonly blockers: readonly Blocker[];
}

/** DaemonSets run on nodes with this label, that is on none, while they are stopped. */
export const stoppedLabel = 'transship.dev/stopped';

export function planQuiesce(view: QuiesceView, options: QuiesceOptions): QuiescePlan {
  return new Planning(view, options).run();
}

/** The fields that stop a kind; undefined: not known here. */
function stopFields(
  object: KubeObject,
  scalable: ReadonlySet<string>,
): { action: StopAction; fields: readonly UndoField[] } | undefined {
  const set = (path: FieldPath, during: unknown): UndoField => ({
    path,
    before: valueAt(object, path) ?? null,
    during,
  });
  const kind = kindText(nameOf(object));
  const down = { action: 'ScaleDown' as const, fields: [set(['spec', 'replicas'], 0)] };
  switch (kind) {
    case 'apps/StatefulSet':
      return { ...down, fields: [...down.fields, ...keepClaims(object)] };
    case 'apps/Deployment':
    case 'apps/ReplicaSet':
    case 'ReplicationController':
      return down;
    case 'apps.openshift.io/DeploymentConfig':
      // A paused one does not scale.
      return { ...down, fields: [...down.fields, set(['spec', 'paused'], false)] };
    case 'apps/DaemonSet': {
      const path = ['spec', 'template', 'spec', 'nodeSelector', stoppedLabel];
      return { action: 'KeepOffNodes', fields: [set(path, 'true')] };
    }
    case 'batch/Job':
    case 'batch/CronJob':
      return { action: 'Suspend', fields: [set(['spec', 'suspend'], true)] };
    default: {
      const own = operatorStopOf(object);
      if (own !== undefined) return { action: 'Suspend', fields: [own] };
      const isScalable = scalable.has(kind) && numberAt(object, 'spec', 'replicas') !== undefined;
      return isScalable ? down : undefined;
    }
  }
}

/** Where a set deletes claims as it is scaled down, its data would go with the stop. */
function keepClaims(object: KubeObject): readonly UndoField[] {
  const path = ['spec', 'persistentVolumeClaimRetentionPolicy', 'whenScaled'];
  const before = textAt(object, ...path);
  return before === 'Delete' ? [{ path, before, during: 'Retain' }] : [];
}

/** There is nothing to stop, and so nothing to start again. */
function isAtRest(object: KubeObject, fields: readonly UndoField[]): boolean {
  if (object.kind === 'Job' && hasCondition(object, 'Complete', 'Failed')) return true;
  // Of several fields the first is the one that stops.
  const [first] = fields;
  return first !== undefined && first.before === first.during;
}

class Planning {
  readonly #view: QuiesceView;
  readonly #options: QuiesceOptions;
  readonly #byUid: ReadonlyMap<string, Placed>;
  readonly #blockers = new Map<string, Blocker>();
  #pauses: readonly UndoRecord[] = [];
  #stops: readonly UndoRecord[] = [];

  constructor(view: QuiesceView, options: QuiesceOptions) {
    this.#view = view;
    this.#options = options;
    this.#byUid = new Map(view.workloads.map((one) => [one.object.metadata.uid ?? '', one]));
  }

  run(): QuiescePlan {
    const started = this.#view.workloads.filter(({ object }) => this.#isConcerned(object));
    const chains = started.map((one) => this.#chain(one));
    for (const chain of chains) this.#stopChain(chain);
    // Before their jobs, so that none is begun in between.
    const [cronJobs, others] = [true, false].map((wanted) =>
      this.#stops.filter(({ name }) => (name.kind === 'CronJob') === wanted),
    ) as [UndoRecord[], UndoRecord[]];
    return {
      records: [...this.#pauses, ...cronJobs, ...others],
      blockers: [...this.#blockers.values()],
    };
  }

  #isConcerned(object: KubeObject): boolean {
    const { claims } = this.#options;
    if (hasEnded(object)) return false;
    if (claims === undefined) return podSpecPaths(object).length > 0;
    const { namespace = '' } = object.metadata;
    const wanted = (claim: string): boolean => claims.has(`${namespace}/${claim}`);
    const mounts = podSpecPaths(object)
      .flatMap((path) => claimsOfPodSpec(valueAt(object, path)))
      .some(({ claim }) => wanted(claim));
    const isSet = kindText(nameOf(object)) === 'apps/StatefulSet';
    const ofSet = (key: string): boolean =>
      key.startsWith(`${namespace}/`) && isClaimOfSet(object, key.slice(namespace.length + 1));
    return mounts || (isSet && [...claims].some(ofSet));
  }

  /** The object and those that made it, up to the first. */
  #chain(first: Placed): readonly Placed[] {
    const chain = [first];
    for (let at: Placed | undefined = first; at !== undefined; ) {
      const owner = at.object.metadata.ownerReferences?.find((one) => one.controller === true);
      if (owner === undefined) break;
      const next = this.#byUid.get(owner.uid);
      if (next === undefined) {
        const message = `${owner.kind} ${owner.name}, which made it, cannot be read`;
        this.#block(at.object, message, 'Grant reading of that kind, or stop it yourself.');
        break;
      }
      if (chain.includes(next)) break;
      chain.push(next);
      at = next;
    }
    return chain;
  }

  #stopChain(chain: readonly Placed[]): void {
    const known = chain.map((one) => stopFields(one.object, this.#view.scalable));
    const top = known.findLastIndex((one) => one !== undefined);
    const [first] = chain;
    if (first === undefined) return;
    if (top < 0) {
      if (chain.length === 1 && first.object.kind === 'Pod') return this.#deletePod(first);
      return this.#blockUnknown(chain);
    }
    for (const one of chain.slice(top + 1)) this.#pauseOperator(one, chain[top] ?? first);
    for (const [i, one] of chain.slice(0, top + 1).entries()) {
      // A suspended CronJob leaves the jobs that it has begun alone.
      const isBegun = one.object.kind === 'Job' && chain[top]?.object.kind === 'CronJob';
      const found = known[i];
      if (found !== undefined && (i === top || isBegun)) this.#stop(one, found);
    }
  }

  #stop(placed: Placed, stop: { action: StopAction; fields: readonly UndoField[] }): void {
    const { object } = placed;
    this.#pauseManagers(placed);
    if (isAtRest(object, stop.fields)) return;
    this.#stops = joinRecords(this.#stops, [recordOf(placed, stop.action, stop.fields)]);
  }

  #deletePod(placed: Placed): void {
    const isMirror = 'kubernetes.io/config.mirror' in (placed.object.metadata.annotations ?? {});
    if (isMirror) {
      return this.#block(
        placed.object,
        'it is a static pod of a node, which only that node can stop',
        'Move its manifest out of the directory of the kubelet.',
      );
    }
    const record = { ...recordOf(placed, 'Delete', []), object: recreatable(placed.object) };
    this.#stops = joinRecords(this.#stops, [record]);
  }

  /** Also of what is at rest: a manager could start it meanwhile. */
  #pauseManagers({ object }: Placed): void {
    const target = nameOf(object);
    const { managers } = this.#view;
    for (const one of managers.filter((manager) => scales(manager.object, target))) {
      // A HorizontalPodAutoscaler leaves alone what has no replicas.
      this.#pause(one);
    }
    for (const reference of managersOf(object)) {
      const manager = managers.find((one) => isReferenced(reference, one));
      if (manager !== undefined) {
        this.#pause(manager);
        continue;
      }
      const { kind, name } = reference;
      const remedy = 'Pause it where it is for the time of the move, or ignore this check.';
      this.#block(object, `${kind} ${name}, which is not in this cluster, manages it`, remedy);
    }
  }

  #pause(manager: Placed): void {
    const field = pauseOf(manager.object);
    if (field === undefined || field.before === field.during) return;
    this.#pauses = joinRecords(this.#pauses, [recordOf(manager, 'PauseManager', [field])]);
    const owner = manager.object.metadata.ownerReferences?.[0];
    if (owner === undefined) return;
    const message = `${owner.kind} ${owner.name}, which made it, may undo its pause`;
    const remedy = 'Change it in Git as well, or pause that one too, until the move is over.';
    this.#block(manager.object, message, remedy);
  }

  #pauseOperator(operated: Placed, below: Placed): void {
    const field = pauseOf(operated.object);
    if (field !== undefined) return this.#pause(operated);
    const message = `its operator may start ${nameText(nameOf(below.object))} again`;
    const remedy = 'Stop or pause it with a hook before the cutover, or ignore this check.';
    this.#block(operated.object, message, remedy);
  }

  #blockUnknown(chain: readonly Placed[]): void {
    const top = chain.at(-1);
    if (top === undefined) return;
    const message = 'it makes pods that write, and how to stop it is not known';
    this.#block(top.object, message, 'Stop it with a hook before the cutover.');
  }

  #block(object: KubeObject, message: string, remedy: string): void {
    const name = nameOf(object);
    this.#blockers.set(`${nameText(name)} ${message}`, { name, message, remedy });
  }
}

function recordOf(
  { type, object }: Placed,
  action: StopAction,
  fields: readonly UndoField[],
): UndoRecord {
  const { group, version, plural, kind, namespaced } = type;
  return {
    type: { group, version, plural, kind, namespaced },
    name: nameOf(object),
    uid: object.metadata.uid ?? '',
    action,
    fields,
  };
}

/** A pod as it can be made again, on any node. */
function recreatable(pod: KubeObject): KubeObject {
  const nothing = { id: 'undo', namespaces: {} };
  const note = (): void => undefined;
  return stripKind({ object: stripMetadata({ object: pod, note }), note }, nothing);
}

/** A pod that has ended for good: nothing of it writes any more. */
export function hasEnded(object: KubeObject): boolean {
  if (object.kind !== 'Pod') return false;
  const phase = textAt(object, 'status', 'phase') ?? '';
  if (!['Succeeded', 'Failed'].includes(phase)) return false;
  // The cluster may call a pod failed whose node it has lost; the node may still run it.
  if (textAt(object, 'status', 'reason') === 'NodeLost') return false;
  return !fieldsListAt(object, 'status', 'containerStatuses').some(
    (one) => valueAt(one, ['state', 'running']) !== undefined,
  );
}

export interface Writer {
  /** `namespace/claim`. */
  readonly claim: string;
  /** `pod shop/web-0 on node a`, `node a, where its volume pv-1 is attached`. */
  readonly holder: string;
}

export interface ProofOptions {
  readonly claims: ReadonlySet<string>;
  /** The claim of each volume. */
  readonly volumes: ReadonlyMap<string, string>;
  /** Pods that read or write on our behalf. */
  readonly isOurs?: (pod: KubeObject) => boolean;
}

/**
 * Who can still write. Empty is the proof that nobody can: a pod that is being deleted, waits for
 * a node, or whose node is lost counts, and so does a volume that is still attached.
 */
export function writersLeft(
  pods: readonly KubeObject[],
  attachments: readonly KubeObject[],
  { claims, volumes, isOurs = () => false }: ProofOptions,
): readonly Writer[] {
  const ours = pods.filter(isOurs);
  const byPods = pods
    .filter((pod) => !hasEnded(pod) && !ours.includes(pod))
    .flatMap((pod) => {
      const { namespace = '', name = '' } = pod.metadata;
      const node = textAt(pod, 'spec', 'nodeName');
      const place = node === undefined ? 'waiting for a node' : `on node ${node}`;
      return claimsOfPodSpec(valueAt(pod, ['spec']))
        .filter(({ claim, readOnly }) => !readOnly && claims.has(`${namespace}/${claim}`))
        .map(({ claim }) => ({
          claim: `${namespace}/${claim}`,
          holder: `pod ${namespace}/${name} ${place}`,
        }));
    });
  // Our own pods hold their volumes where they run.
  const ourNodes = new Set(ours.map((pod) => textAt(pod, 'spec', 'nodeName')));
  const byNodes = attachments.flatMap((one) => {
    const volume = textAt(one, 'spec', 'source', 'persistentVolumeName') ?? '';
    const claim = volumes.get(volume);
    const node = textAt(one, 'spec', 'nodeName');
    if (claim === undefined || !claims.has(claim) || ourNodes.has(node)) return [];
    if (valueAt(one, ['status', 'attached']) === false) return [];
    return [{ claim, holder: `node ${node ?? '?'}, where its volume ${volume} is attached` }];
  });
  return [...byPods, ...byNodes];
}
