/**
 * Clusters: the local one says what its agents say; for another one the way is opened, tried and
 * told. Credentials come from Secrets, are compared by fingerprint, and are never told.
 */
import { createHash } from 'node:crypto';
import { type Cluster, clusters } from '../../api/kinds/cluster.ts';
import type { ClusterObject, ReportObject } from '../../api/objects.ts';
import { asTransshipError, fail, type TransshipError, unlessThere } from '../../base/errors.ts';
import type { Outcome } from '../../kube/api.ts';
import { keyOf } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import { type Context, type Controller, OwnSource } from '../context.ts';
import { annotations, labels } from '../labels.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import { readSecret } from '../secret-entry.ts';
import { Fellows } from './fellows.ts';
import { type Facts, readFacts, readVersion } from './facts.ts';
import { type Checked, localReport, remoteReport } from './report.ts';
import { missingRights } from './rights.ts';
import type { Report } from '../status.ts';

/** How often a cluster is looked at when nothing is told: reachability, Secrets, totals. */
const lookEveryMs = 20_000;
/** One that is not ready is looked at sooner at first, then half as often each time. */
const unwellEveryMs = 1_000;
/** Timers have jitter: a look that is nearly due is due. */
const lookShare = 0.8;
const factsEveryMs = 300_000;
const checkEveryMs = 600_000;
const joinAgainMs = 60_000;
const findingsShown = 10;

/** What is remembered of a cluster between two looks; all of it can be found again. */
interface Memory {
  generation: number | undefined;
  lookedMs: number;
  /** Looks since it was last ready. */
  unwell: number;
  problem: TransshipError | undefined;
  own: Cluster | undefined;
  facts: Facts;
  factsMs: number;
  checked: Checked | undefined;
  checkedMs: number | undefined;
  joinProblem: TransshipError | undefined;
  joinedMs: number | undefined;
  missingRights: readonly string[] | undefined;
}

/** Between this cluster and another. */
interface Way {
  readonly agent: AgentMirror;
  readonly peer: ClusterObject;
}

export class ClusterController implements Controller {
  readonly name = 'Cluster';
  readonly concurrency = 4;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #memory = new Map<string, Memory>();
  readonly #own = new OwnSource();
  readonly #fellows: Fellows;

  constructor(context: Context) {
    this.#c = context;
    this.#fellows = new Fellows(context.ports.clock, context.ports.log);
    const { agents, informers } = context;
    this.sources = [
      watching(informers.clusters),
      agents.source(({ kind, name }, { clusters: known }) => {
        if (kind === 'Agent') return this.#names();
        return kind === 'Cluster' ? [known.get(name)?.spec.memberOf ?? name] : [];
      }),
      this.#own,
    ];
  }

  #names(): readonly string[] {
    return [...this.#c.informers.clusters.list()].map(({ metadata }) => metadata.name ?? '');
  }

  async reconcile(name: string): Promise<Outcome> {
    const cached = this.#c.informers.clusters.get({ namespace: '', name });
    if (cached === undefined || cached.metadata.deletionTimestamp !== undefined) {
      this.#c.remotes.close(name);
      this.#memory.delete(name);
      if (cached === undefined) await this.#adopt(name);
      return {};
    }
    const object = this.#c.statuses.newest(cached);
    if (this.#isForsaken(object)) {
      await this.#c.client.delete(clusters, keyOf(object));
      return {};
    }
    const memory = this.#remember(name, object);
    if (object.spec.local === true) return this.#local(object, memory);
    return this.#remote(object, memory);
  }

  /** Agents may join without us, by a token: what they know gets an object. */
  async #adopt(name: string): Promise<void> {
    const peer = this.#peer(name);
    if (peer === undefined || !this.#c.informers.clusters.isSynced) return;
    const metadata = { name, labels: { [labels.adopted]: 'true' } };
    await unlessThere(this.#c.client.create(clusters, { metadata, spec: {} }));
  }

  /** One of those, when no agent knows the peer any more. */
  #isForsaken({ metadata, spec }: Cluster): boolean {
    const isOurs = metadata.labels?.[labels.adopted] !== undefined;
    const agents = this.#c.agents.all;
    const allTell = agents.length > 0 && agents.every(({ usable }) => usable);
    const isBare = spec.local !== true && spec.kubeconfigSecretRef === undefined;
    return isOurs && isBare && allTell && this.#peer(metadata.name ?? '') === undefined;
  }

  #remember(name: string, object: Cluster): Memory {
    const known = this.#memory.get(name);
    if (known !== undefined) return known;
    const { version, storageClasses, nodes, capabilities } = object.status ?? {};
    const facts: Facts = {
      ...(version === undefined ? {} : { version }),
      ...(storageClasses === undefined ? {} : { storageClasses }),
      ...(nodes === undefined ? {} : { nodes }),
      ...(capabilities === undefined ? {} : { capabilities }),
    };
    const memory: Memory = {
      generation: undefined,
      lookedMs: Number.NEGATIVE_INFINITY,
      unwell: 0,
      problem: undefined,
      own: undefined,
      facts,
      factsMs: Number.NEGATIVE_INFINITY,
      checked: undefined,
      checkedMs: undefined,
      joinProblem: undefined,
      joinedMs: undefined,
      missingRights: undefined,
    };
    this.#memory.set(name, memory);
    return memory;
  }

  async #local(object: Cluster, memory: Memory): Promise<Outcome> {
    if (this.#isDue(object, memory)) {
      memory.problem = await this.#look(memory, this.#c.client);
      // Only an installation is meant to have just the rights that are asked about.
      const isInstalled = object.spec.agentPods !== undefined;
      memory.missingRights = isInstalled ? await this.#askForRights(memory) : undefined;
      if (isInstalled) await this.#fellows.join(this.#c.agents.all);
    }
    const { facts, problem, missingRights: missing } = memory;
    const agents = this.#c.agents.all;
    const report = localReport({ object, facts, problem, agents, missingRights: missing });
    return this.#tell(object, memory, report);
  }

  async #askForRights({ missingRights: before }: Memory): Promise<readonly string[] | undefined> {
    return missingRights(this.#c.client).catch((error: unknown) => {
      this.#c.ports.log.log('warn', 'the own rights cannot be asked for', { error });
      return before;
    });
  }

  async #remote(object: Cluster, memory: Memory): Promise<Outcome> {
    const name = object.metadata.name ?? '';
    const isKnown = object.spec.kubeconfigSecretRef !== undefined;
    if (this.#isDue(object, memory) && isKnown) await this.#lookAt(object, memory);
    const first = this.#c.agents.all[0];
    await this.#join(object, memory, first);
    const way = this.#way(name);
    await this.#check(object, memory, way);
    const report = remoteReport({
      object,
      facts: memory.facts,
      problem: memory.problem,
      own: memory.own,
      peer: way?.peer,
      joinProblem: memory.joinProblem,
      hasAgents: first !== undefined,
      checked: memory.checked,
    });
    return this.#tell(object, memory, report);
  }

  /** Our own writes bring us here too; the API is not asked again because of them. */
  #isDue({ metadata }: Cluster, memory: Memory): boolean {
    const { generation = 0 } = metadata;
    const nowMs = this.#c.ports.clock.monotonicMs();
    const isFresh = nowMs - memory.lookedMs < periodOf(memory) * lookShare;
    if (memory.generation === generation && isFresh) return false;
    memory.generation = generation;
    memory.lookedMs = nowMs;
    memory.unwell += 1;
    return true;
  }

  async #lookAt(object: Cluster, memory: Memory): Promise<void> {
    try {
      const access = await this.#open(object);
      memory.problem = await this.#look(memory, access.client);
      memory.own = memory.problem === undefined ? await ownObjectOf(access) : undefined;
    } catch (error) {
      memory.problem = asTransshipError(error);
      memory.own = undefined;
    }
  }

  /** The client that is there, or a new one when the Secret says something else now. */
  async #open(object: Cluster): Promise<ClusterAccess> {
    const name = object.metadata.name ?? '';
    const place = object.spec.kubeconfigSecretRef;
    if (place === undefined) fail('CredentialsMissing', 'spec.kubeconfigSecretRef is not given');
    const [text = ''] = await readSecret(this.#c.client, place, [place.key ?? 'kubeconfig']);
    const { context } = place;
    const fingerprint = createHash('sha256')
      .update(`${context ?? ''}\n${text}`)
      .digest('hex');
    const { remotes, ports } = this.#c;
    const open = remotes.find(name);
    if (open !== undefined && remotes.fingerprintOf(name) === fingerprint) return open;
    const kubeconfig = { text, ...(context === undefined ? {} : { context }) };
    return remotes.open(name, fingerprint, await ports.openCluster(name, kubeconfig));
  }

  /** Why the API server does not answer, if it does not. */
  async #look(
    memory: Memory,
    client: ClusterAccess['client'],
  ): Promise<TransshipError | undefined> {
    const { clock } = this.#c.ports;
    try {
      const version = await readVersion(clock, client);
      memory.facts = { ...memory.facts, ...version };
      if (clock.monotonicMs() - memory.factsMs >= factsEveryMs) {
        memory.facts = { ...memory.facts, ...(await readFacts(client)) };
        memory.factsMs = clock.monotonicMs();
      }
      return undefined;
    } catch (error) {
      return asTransshipError(error);
    }
  }

  #peer(name: string): ClusterObject | undefined {
    return this.#way(name)?.peer;
  }

  /** An agent of ours and one of that cluster that know each other; linked ones come first. */
  #way(name: string): Way | undefined {
    const ways = this.#c.agents.all.flatMap((agent) =>
      [...agent.clusters.values()]
        .filter(({ metadata, spec }) => !spec.local && (spec.memberOf ?? metadata.name) === name)
        .map((peer) => ({ agent, peer })),
    );
    return ways.find(({ peer }) => peer.status.connected) ?? ways[0];
  }

  /** A token is good for one attempt: what is known as a peer is not joined again. */
  async #join(object: Cluster, memory: Memory, agent: AgentMirror | undefined): Promise<void> {
    const { clock } = this.#c.ports;
    const place = object.spec.joinTokenSecretRef;
    const name = object.metadata.name ?? '';
    if (this.#peer(name) !== undefined) {
      memory.joinProblem = undefined;
      return;
    }
    if (place === undefined || agent?.usable !== true) return;
    const sinceMs = clock.monotonicMs() - (memory.joinedMs ?? Number.NEGATIVE_INFINITY);
    if (sinceMs < joinAgainMs) return;
    memory.joinedMs = clock.monotonicMs();
    try {
      const [token = ''] = await readSecret(this.#c.client, place, [place.key ?? 'token']);
      const peer = await agent.call('cluster.join', { token: token.trim() });
      memory.joinProblem = undefined;
      const cluster = peer.spec.memberOf ?? peer.metadata.name;
      if (cluster !== name) fail('Conflict', `the token is of cluster ${cluster}, not of ${name}`);
    } catch (error) {
      memory.joinProblem = asTransshipError(error);
    }
  }

  /** Real bytes to the peer and back: when somebody asks, once at first, and then now and again. */
  async #check(object: Cluster, memory: Memory, way: Way | undefined): Promise<void> {
    const { clock } = this.#c.ports;
    const notes = object.metadata.annotations ?? {};
    const asked = notes[annotations.checkRequested];
    const isAsked = asked !== undefined && asked !== notes[annotations.checked];
    const sinceMs = clock.monotonicMs() - (memory.checkedMs ?? Number.NEGATIVE_INFINITY);
    if (way?.agent.usable !== true) return;
    if (!isAsked && sinceMs < checkEveryMs) return;
    memory.checkedMs = clock.monotonicMs();
    try {
      const { name } = way.peer.metadata;
      const report = await way.agent.call('cluster.check', { name });
      memory.checked = { passed: report.passed, message: textOf(report) };
    } catch (error) {
      memory.checked = { passed: false, message: asTransshipError(error).message };
    }
    if (!isAsked) return;
    await this.#c.client.patch(clusters, keyOf(object), {
      metadata: { annotations: { [annotations.checked]: asked } },
    });
  }

  async #tell(object: Cluster, memory: Memory, report: Report): Promise<Outcome> {
    const { random } = this.#c.ports;
    const isReady = report.conditions.some(({ type, status }) => {
      return type === 'Ready' && status === 'True';
    });
    if (isReady) memory.unwell = 0;
    const heldBackMs = await this.#c.statuses.write(clusters, object, report);
    // Not all at the same moment.
    const nextMs = periodOf(memory, isReady) * (0.9 + 0.2 * random.fraction());
    return { againAfterMs: Math.min(heldBackMs ?? nextMs, nextMs) };
  }
}

function periodOf({ unwell }: Memory, isReady = unwell === 0): number {
  return isReady ? lookEveryMs : Math.min(lookEveryMs, unwellEveryMs * 2 ** (unwell - 1));
}

/** The object with which that cluster describes itself. */
async function ownObjectOf({ client }: ClusterAccess): Promise<Cluster | undefined> {
  try {
    for await (const one of client.list(clusters)) if (one.spec.local === true) return one;
  } catch (error) {
    // Without our kinds there is no Transship, which is an answer too.
    if (asTransshipError(error).reason !== 'NotFound') throw error;
  }
  return undefined;
}

function textOf({ findings }: ReportObject): string {
  return findings
    .slice(0, findingsShown)
    .map(({ check, result, message }) => `${check} ${result.toLowerCase()}: ${message}`)
    .join('; ');
}
