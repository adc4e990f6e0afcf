/** The parts of one agent, and the shape of what answers its control operations. */
import type { EventOf, OperationName, RequestOf, ResponseOf } from '../api/control.ts';
import type { Attachments } from './attachments.ts';
import type { Clusters } from './clusters.ts';
import type { Events } from './events.ts';
import type { Holds } from './holds.ts';
import type { Imports } from './imports.ts';
import type { Jobs } from './jobs.ts';
import type { Policies } from './policies.ts';
import type { Pools } from './pools.ts';
import type { AgentInfo, AgentPorts } from './ports.ts';
import type { ReplicatedVolumes } from './replicas.ts';
import type { Repositories } from './repositories.ts';
import type { Teleports } from './teleports.ts';

export interface AgentParts {
  readonly info: AgentInfo;
  readonly ports: AgentPorts;
  readonly pools: Pools;
  readonly events: Events;
  readonly policies: Policies;
  readonly jobs: Jobs;
  readonly imports: Imports;
  readonly attachments: Attachments;
  readonly clusters: Clusters;
  readonly teleports: Teleports;
  readonly replicas: ReplicatedVolumes;
  readonly repositories: Repositories;
  readonly holds: Holds;
}

/** What a handler may do besides answering. */
export interface Watcher<Event> {
  emit(event: Event): void;
  /** Aborted when the client went away. Work goes on unless the handler says otherwise. */
  readonly signal: AbortSignal;
}

export type Handler<N extends OperationName> = (
  request: RequestOf<N>,
  watcher: Watcher<EventOf<N>>,
) => Promise<ResponseOf<N>>;

export type Handlers = { readonly [N in OperationName]: Handler<N> };

/** The handlers whose operations begin with one of these words. */
export type HandlersOf<Prefix extends string> = Pick<
  Handlers,
  Extract<OperationName, `${Prefix}.${string}`>
>;
