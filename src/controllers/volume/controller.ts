/**
 * Volumes: what the object asks for is made true at the agent that holds it, one step at a time.
 * Every step starts from what the agent has and can be cut anywhere: the name is fixed beforehand,
 * the finalizer and the chosen agent are written before the first effect.
 */
import { volumes, type Volume } from '../../api/kinds/volume.ts';
import { asTransshipError, TransshipError, unlessThere } from '../../base/errors.ts';
import { removeFinalizer } from '../../kube/finalizers.ts';
import type { Outcome } from '../../kube/api.ts';
import { keyOf } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import { type Context, type Controller, OwnSource } from '../context.ts';
import { annotations, finalizers, labels } from '../labels.ts';
import { Problems } from '../problems.ts';
import { adopt } from './adopt.ts';
import { decide, type VolumeStep } from './decide.ts';
import { Imports } from './imports.ts';
import { isReplicated, type Leadership, leadershipOf } from './leadership.ts';
import type { Observation, OtherAgent } from './observation.ts';
import { type Placement, placeOf } from './placement.ts';
import { poolKeysOf } from './pool-keys.ts';
import { reportOf } from './report.ts';
import { setEventsOf } from './set-events.ts';
import { setSightOf } from './set-sight.ts';

/** Steps of one reconciliation; more would be a loop. */
const stepsMax = 8;
/** Looked at again although nothing was told: doors and leases that end at an agent. */
const refusedAgainMs = 15_000;
const movingAgainMs = 2_000;

interface Sighting {
  readonly seen: Observation;
  readonly place: Placement;
  readonly againMs: number | undefined;
}

export class VolumeController implements Controller {
  readonly name = 'Volume';
  readonly concurrency = 16;
  readonly #c: Context;
  readonly #problems: Problems;
  readonly #imports: Imports;
  /** What leaders were told of the speed of rebuilds: none of them says what it was told. */
  readonly #toldBandwidth = new Map<string, string | undefined>();
  readonly #own = new OwnSource();
  readonly sources: readonly Source[];

  constructor(context: Context) {
    this.#c = context;
    const { informers, agents } = context;
    this.sources = [
      watching(informers.volumes),
      // Adopted volumes name their pool as its object does; what it is says who may come.
      watching(informers.pools, (change) => poolKeysOf(change, informers.volumes.list())),
      agents.source(({ kind, name }, mirror) => {
        if (kind === 'Volume' || kind === 'Teleport' || kind === 'ReplicaSet') return [name];
        return kind === 'Agent' ? this.#allOf(mirror) : [];
      }),
      this.#own,
    ];
    this.#problems = new Problems(context.ports.clock, context.ports.random);
    this.#imports = new Imports((volume, problem) => {
      if (problem !== undefined) this.#problems.note(volume, this.#generation(volume), problem);
      this.#own.add(volume);
    });
  }

  async reconcile(name: string): Promise<Outcome> {
    const cached = this.#c.informers.volumes.get({ namespace: '', name });
    if (cached === undefined) {
      this.#problems.clear(name);
      this.#toldBandwidth.delete(name);
      await adopt(this.#c, name);
      return {};
    }
    let object = this.#c.statuses.newest(cached);
    let isSure = false;
    for (let steps = 0; steps < stepsMax; steps++) {
      const sighting = this.#see(object);
      const step = decide(sighting.seen);
      if (!isSure && mustBeSure(step) && sighting.place.mirror !== undefined) {
        isSure = true;
        await lookNow(name, sighting.place.mirror);
        continue;
      }
      const isEffect = step.do !== 'nothing' && step.do !== 'wait';
      if (!isEffect || sighting.seen.problem !== undefined) {
        // What was due needs no new try: nothing is left to be done.
        if (sighting.seen.problem === undefined) this.#problems.clear(name);
        return this.#tell(sighting, step);
      }
      try {
        const next: Volume | undefined = await this.#act(step, sighting);
        if (next === undefined) return {};
        object = next;
        if (step.do === 'import') return await this.#tell(this.#see(object), { do: 'nothing' });
        if (step.do !== 'claim') this.#problems.clear(name);
      } catch (error) {
        if (isOfApi(step)) throw error;
        this.#problems.note(name, object.metadata.generation ?? 0, asTransshipError(error));
        return this.#tell(this.#see(object), step);
      }
    }
    return { againAfterMs: movingAgainMs };
  }

  /** After a restart of the agent, or of this process. */
  #allOf(mirror: AgentMirror): readonly string[] {
    const named = [...this.#c.informers.volumes.list()].map(({ metadata }) => metadata.name ?? '');
    return [...new Set([...mirror.volumes.keys(), ...named])];
  }

  #generation(name: string): number {
    return this.#c.informers.volumes.get({ namespace: '', name })?.metadata.generation ?? 0;
  }

  #see(object: Volume): Sighting {
    const { agents, informers } = this.#c;
    const { name = '', generation = 0 } = object.metadata;
    const pools = {
      find: (pool: string) => informers.pools.get({ namespace: '', name: pool }),
      list: () => informers.pools.list(),
    };
    const replicated = isReplicated(object, agents);
    const lead: Leadership | undefined = replicated ? leadershipOf(object, agents) : undefined;
    const place: Placement =
      lead === undefined ? placeOf(object, { agents, pools }) : placeAtLeader(lead);
    const agent = place.mirror?.place.name;
    // Until everything of an agent was read, a replica of it looks like a plain volume.
    const known = place.mirror?.synced === true ? place.mirror : undefined;
    const view = known?.volumes.get(name);
    const facts = { object, pools, view: lead?.view, volume: view, agent };
    const toldBandwidth = this.#toldBandwidth.get(name);
    const seen: Observation = {
      object,
      set: setSightOf({ ...facts, toldBandwidth }, replicated),
      leader: lead?.to?.place.name,
      yielding: lead?.from,
      held: lead?.held,
      others: replicated ? this.#othersOf(object, lead) : [],
      agent,
      blocker: place.blocker,
      pool: place.pool,
      view,
      teleport: place.mirror?.teleports.get(name),
      job: this.#imports.find(name),
      problem: this.#problems.blocking(name, generation),
    };
    return { seen, place, againMs: lead?.againMs };
  }

  /** Who else keeps something of a replicated volume, as far as anybody knows. */
  #othersOf({ metadata, status }: Volume, lead: Leadership | undefined): readonly OtherAgent[] {
    const { agents } = this.#c;
    const { name = '' } = metadata;
    const told = (status?.replicas ?? []).flatMap(({ agent }) => agent ?? []);
    const known = agents.all.filter(({ sets }) => sets.has(name)).map(({ place }) => place.name);
    const leader = lead?.view === undefined ? undefined : lead.mirror?.place.name;
    return [...new Set([...known, ...told])]
      .filter((agent) => agent !== leader)
      .flatMap((agent): OtherAgent[] => {
        const mirror = agents.find(agent);
        // It said that it has nothing any more.
        if (mirror?.usable === true && !mirror.sets.has(name)) return [];
        return [{ name: agent, trouble: mirror?.usable === true ? undefined : silent(mirror) }];
      });
  }

  /** The object as it then is; undefined when this reconciliation ends with it. */
  async #act(step: VolumeStep, { seen, place }: Sighting): Promise<Volume | undefined> {
    const { client } = this.#c;
    const { object, leader } = seen;
    const { name = '' } = object.metadata;
    if (step.do === 'release') {
      await removeFinalizer(client, volumes, object, finalizers.volume);
      return undefined;
    }
    if (step.do === 'forget') {
      const { uid } = object.metadata;
      await client.delete(volumes, keyOf(object), uid === undefined ? {} : { uid });
      return undefined;
    }
    if (step.do === 'claim') return this.#claim(object, place, leader);
    if (step.do === 'yield' || step.do === 'drop') await this.#actElsewhere(name, step);
    else await this.#actAtAgent(name, step, place.mirror!);
    if (step.do === 'lead') this.#toldBandwidth.set(name, object.spec.rebuildBandwidth);
    return object;
  }

  /** Both at once: an object with our finalizer always says which agent may have it. */
  async #claim(object: Volume, { mirror }: Placement, leader?: string): Promise<Volume> {
    const { uid, resourceVersion, finalizers: held = [], annotations: notes } = object.metadata;
    const isAsked = notes?.[annotations.lead] !== undefined;
    const placed = {
      [annotations.agent]: leader ?? mirror!.place.name,
      // The wish is met once: should this agent be lost, nothing draws the volume back to it.
      ...(isAsked && leader !== undefined
        ? { [annotations.lead]: null, [annotations.leadGranted]: leader }
        : {}),
    };
    return this.#c.client.patch(volumes, keyOf(object), {
      metadata: {
        uid,
        resourceVersion,
        annotations: placed,
        finalizers: [...held.filter((one) => one !== finalizers.volume), finalizers.volume],
      },
    });
  }

  async #actElsewhere(
    name: string,
    step: Extract<VolumeStep, { do: 'yield' | 'drop' }>,
  ): Promise<void> {
    const { agents } = this.#c;
    if (step.do === 'yield') {
      const mirror = agents.find(step.from);
      await unlessGone(mirror?.call('replica.yield', { volume: name }));
      // An agent that led without a replica has nothing of it now, and says what was before.
      await unlessGone(mirror?.call('replica.show', { volume: name }));
      return;
    }
    const mirror = agents.find(step.agent);
    await unlessGone(mirror?.call('replica.drop', { volume: name, force: true }));
  }

  async #actAtAgent(name: string, step: VolumeStep, mirror: AgentMirror): Promise<void> {
    switch (step.do) {
      case 'create':
        return this.#make(name, mirror, () => mirror.call('volume.create', step.request));
      case 'clone':
        return this.#make(name, mirror, () => mirror.call('volume.clone', step.request));
      case 'teleport':
        return this.#make(name, mirror, () => mirror.call('teleport.start', step.request));
      case 'import':
        return this.#imports.start(mirror, step.request);
      case 'resize':
        return void (await mirror.call('volume.resize', { name, sizeBytes: step.sizeBytes }));
      case 'policy': {
        const { historyPolicy } = step;
        return void (await mirror.call('volume.set-policy', { name, historyPolicy }));
      }
      case 'fill': {
        const { bytesPerSecond } = step;
        const rate = bytesPerSecond === undefined ? {} : { bytesPerSecond };
        return void (await mirror.call('teleport.fill', { name, ...rate }));
      }
      case 'lead':
        await mirror.call('replica.lead', step.request);
        // Who leads has the volume, with or without a replica of its own.
        return void (await mirror.call('volume.show', { name }));
      case 'delete':
        return this.#delete(name, step.force, mirror);
      default:
        return undefined;
    }
  }

  /** That it exists already may be the work of one who could not tell any more: look again. */
  async #make(name: string, mirror: AgentMirror, make: () => Promise<unknown>): Promise<void> {
    await unlessThere(make());
    if (!mirror.volumes.has(name)) await mirror.call('volume.show', { name });
  }

  async #delete(name: string, force: boolean, mirror: AgentMirror): Promise<void> {
    try {
      await mirror.call('volume.delete', { name, force });
    } catch (error) {
      if (asTransshipError(error).reason !== 'NotFound') throw error;
    }
  }

  async #tell(sighting: Sighting, step: VolumeStep): Promise<Outcome> {
    const { seen, place, againMs } = sighting;
    const { object, view } = seen;
    const { name = '' } = object.metadata;
    const pool = view === undefined ? undefined : this.#poolName(view.spec.pool, place);
    const report = reportOf({ seen, step, poolName: pool });
    this.#tellEvents(seen, step);
    for (const event of setEventsOf(object, report)) this.#c.ports.events.record(event);
    const heldBackMs = await this.#c.statuses.write(volumes, object, report);
    const waits = [
      heldBackMs,
      againMs,
      this.#problems.againAfterMs(name),
      step.do === 'wait' ? refusedAgainMs : undefined,
      seen.job?.phase === 'Running' ? movingAgainMs : undefined,
      seen.teleport?.status.phase === 'Initializing' ? movingAgainMs : undefined,
    ].filter((ms) => ms !== undefined);
    return waits.length === 0 ? {} : { againAfterMs: Math.min(...waits) };
  }

  /** A refused deletion is what people ask about first. */
  #tellEvents({ object, problem }: Observation, step: VolumeStep): void {
    if (object.metadata.deletionTimestamp === undefined) return;
    const refusal: TransshipError | undefined = step.do === 'wait' ? step.problem : problem;
    if (refusal === undefined) return;
    const known = object.status?.conditions?.find(({ type }) => type === 'Deleting');
    if (known?.reason === refusal.reason) return;
    const { reason, message: note } = refusal;
    const type = 'Warning';
    this.#c.ports.events.record({ regarding: object, type, reason, action: 'Deleting', note });
  }

  #poolName(pool: string, { mirror }: Placement): string | undefined {
    for (const { metadata } of this.#c.informers.pools.list()) {
      const { [labels.agent]: agent, [labels.pool]: name } = metadata.labels ?? {};
      if (agent === mirror?.place.name && name === pool) return metadata.name;
    }
    return undefined;
  }
}

async function unlessGone(call: Promise<unknown> | undefined): Promise<void> {
  await call?.catch((error: unknown) => {
    if (asTransshipError(error).reason !== 'NotFound') throw error;
  });
}

function placeAtLeader({ mirror, blocker }: Leadership): Placement {
  return {
    ...(mirror === undefined ? {} : { mirror }),
    ...(blocker === undefined ? {} : { blocker }),
  };
}

function silent(mirror: AgentMirror | undefined): TransshipError {
  const message = 'it is not one of this cluster any more';
  return mirror?.trouble ?? new TransshipError('AgentUnreachable', message);
}

/** What is there after all and is let go of, or taken for another's, would be nobody's. */
function mustBeSure(step: VolumeStep): boolean {
  return step.do === 'release' || (step.do === 'wait' && step.problem.reason === 'AlreadyExists');
}

/** Records of teleports are seen a while after their volumes, and what was just made after that. */
async function lookNow(name: string, mirror: AgentMirror): Promise<void> {
  for (const operation of ['volume.show', 'teleport.show'] as const) {
    await mirror.call(operation, { name }).catch((error: unknown) => {
      if (asTransshipError(error).reason !== 'NotFound') throw error;
    });
  }
}

/** Failures of the API server are the queue's matter; those of the agent are told in the status. */
function isOfApi(step: VolumeStep): boolean {
  return step.do === 'claim' || step.do === 'release' || step.do === 'forget';
}
