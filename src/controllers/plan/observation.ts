/** What a plan is judged by: everything that was seen of both clusters at one time, as data. */
import type { Hook } from '../../api/kinds/hook.ts';
import type { Migration } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type {
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../../kube/resources.ts';
import type { ObjectName } from '../../workload/names.ts';
import type { Survey } from '../../workload/workload.ts';
import type { RegistryPlace } from '../image-transfer/place.ts';

/** One side of a plan. */
export interface Side {
  readonly name: string;
  /** There is a `Cluster` object of this name. */
  readonly exists: boolean;
  /** Why its API cannot be asked now; undefined: it can. */
  readonly trouble: { readonly reason: string; readonly message: string } | undefined;
  readonly version: string | undefined;
  readonly capabilities: readonly string[];
  readonly nodes: number | undefined;
  /** Absent: nobody has said where its registry is. */
  readonly registry?: RegistryPlace;
  /** Clusters whose agents its own trust; absent: it has not told. */
  readonly peers?: readonly string[];
}

/** The Repository that the plan names. */
export interface SeenRepository {
  readonly name: string;
  readonly exists: boolean;
  /** The hub has tried it. */
  readonly isTried: boolean;
  /** What is wrong with it, and where. */
  readonly troubles: readonly string[];
}

export function registriesOfSides({ source, destination }: Pick<Observation, SideName>) {
  return { source: source.registry, destination: destination.registry };
}

type SideName = 'source' | 'destination';

export interface FoundClaim {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume | undefined;
  /** What is used of it, where that is known. */
  readonly usedBytes: number | undefined;
}

export interface SeenSource {
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly classes: readonly StorageClass[];
  /** Undefined: a namespace is missing, so nothing else was looked at. */
  readonly survey: Survey | undefined;
  readonly claims: readonly FoundClaim[];
  /** Pods and what makes pods, whole. */
  readonly workloads: readonly KubeObject[];
  /** Why they could not be listed, so that there are none here. */
  readonly hidden?: string;
  readonly unhealthy: readonly { readonly name: ObjectName; readonly because: string }[];
}

/** A right that is missing, as one rule of a Role. */
export interface MissingRight {
  readonly cluster: string;
  readonly namespace: string;
  readonly group: string;
  readonly resource: string;
  readonly verbs: readonly string[];
}

export interface SeenDestination {
  /** By their names there. */
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly classes: readonly StorageClass[];
  /** `Kind name` of classes of priorities, ingresses and runtimes. */
  readonly named: ReadonlySet<string>;
  readonly quotas: readonly KubeObject[];
  readonly limitRanges: readonly KubeObject[];
  /** What of the plan's objects has its name taken there, as named at the source. */
  readonly existing: readonly ObjectName[];
  readonly nodes: readonly Node[] | undefined;
}

export interface Observation {
  readonly plan: Plan;
  readonly source: Side;
  readonly destination: Side;
  /** Other plans of the hub that are open. */
  readonly others: readonly Plan[];
  /** Those that the plan names and that exist. */
  readonly hooks: ReadonlyMap<string, Hook>;
  /** Of this plan, the newest first. */
  readonly migrations: readonly Migration[];
  /** Absent: the plan names none. */
  readonly repository?: SeenRepository;
  readonly seenSource: SeenSource | undefined;
  readonly seenDestination: SeenDestination | undefined;
  /** Undefined: nobody asked, as a side is out of reach. */
  readonly missingRights: readonly MissingRight[] | undefined;
}

/** The name of a namespace at the destination. */
export function namespaceThere(plan: Plan, namespace: string): string {
  return plan.spec.namespaces.find(({ name }) => name === namespace)?.to ?? namespace;
}
