/** What must be true of every single change that an API server makes durable. */
import type { Teleport } from '../../src/api/kinds/teleport.ts';
import type { Volume } from '../../src/api/kinds/volume.ts';
import { labels, sourceFinalizer } from '../../src/controllers/labels.ts';
import type { Condition, KubeObject } from '../../src/kube/objects.ts';
import type { Committed, SimApi } from './control-api.ts';
import type { ControlWorld } from './control-world.ts';
import { Mismatch } from './model.ts';

interface WithStatus extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly observedGeneration?: number;
  };
}

/** Part of every secret in this world; it must not be anywhere else. */
export const secretMark = 'S3CR3T';

const coreConditionsOf: ReadonlySet<string> = new Set(['transship.dev/v1alpha1']);

/** Status writes of one object in ten seconds; more is a loop. */
const writesMax = 60;
const writesWithinMs = 10_000;

export class Watchman {
  readonly #fail: (error: Error) => void;
  readonly #writes = new Map<string, number[]>();

  constructor(fail: (error: Error) => void) {
    this.#fail = fail;
  }

  see(world: ControlWorld, api: SimApi, change: Committed): void {
    try {
      this.#check(world, api, change);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #check(world: ControlWorld, api: SimApi, { before, now, key }: Committed): void {
    if (now === undefined || !coreConditionsOf.has(now.apiVersion)) {
      if (now !== undefined && now.kind !== 'Secret') checkNoSecret(api, key, now);
      return;
    }
    checkNoSecret(api, key, now);
    checkConditions(api, key, before, now);
    const isTold = before !== undefined && statusText(before) !== statusText(now);
    if (isTold) this.#checkRate(world.scheduler.nowMs, `${api.name}${key}`);
    if (now.kind === 'Volume') {
      checkComplete(world, api, now as Volume);
      if (before === undefined) checkBirth(world, api, now as Volume);
    }
    if (now.kind === 'Teleport') checkSucceeded(world, now as Teleport, before as Teleport);
  }

  #checkRate(nowMs: number, id: string): void {
    const times = (this.#writes.get(id) ?? []).filter((at) => at > nowMs - writesWithinMs);
    times.push(nowMs);
    this.#writes.set(id, times);
    if (times.length > writesMax) {
      throw new Mismatch(`${id}: ${times.length} status writes in ${writesWithinMs / 1000} s`);
    }
  }
}

function statusText(object: KubeObject): string {
  return JSON.stringify((object as WithStatus).status);
}

function checkNoSecret(api: SimApi, key: string, now: KubeObject): void {
  if (JSON.stringify(now).includes(secretMark)) {
    throw new Mismatch(`${api.name}${key} tells a secret`);
  }
}

function checkConditions(
  api: SimApi,
  key: string,
  before: KubeObject | undefined,
  now: KubeObject,
): void {
  const { status, metadata } = now as WithStatus;
  const generation = metadata.generation ?? 0;
  const where = `${api.name}${key}`;
  if ((status?.observedGeneration ?? 0) > generation) {
    throw new Mismatch(`${where}: observedGeneration is of a generation that never was`);
  }
  const old = (before as WithStatus | undefined)?.status?.conditions ?? [];
  const seen = new Set<string>();
  for (const one of status?.conditions ?? []) {
    if (seen.has(one.type)) throw new Mismatch(`${where}: two conditions ${one.type}`);
    seen.add(one.type);
    const was = old.find(({ type }) => type === one.type);
    if (was === undefined) continue;
    const isSame = was.status === one.status;
    if (isSame && was.lastTransitionTime !== one.lastTransitionTime) {
      throw new Mismatch(`${where}: ${one.type} has a new time, but is ${one.status} as before`);
    }
    if ((one.observedGeneration ?? 0) > generation) {
      throw new Mismatch(`${where}: ${one.type} is of a generation that never was`);
    }
  }
}

function conditionOf(object: WithStatus | undefined, type: string): Condition | undefined {
  return object?.status?.conditions?.find((one) => one.type === type);
}

/** `Complete` and nothing missing is one thing, asked of the engine itself. */
function checkComplete(world: ControlWorld, api: SimApi, volume: Volume): void {
  if (conditionOf(volume, 'Complete')?.status !== 'True') return;
  checkNothingMissing(world, api.name, volume.metadata.name ?? '', `Volume ${api.name}`);
}

/** Nobody makes volumes at agents here; and what a teleport reads from is kept before it begins. */
function checkBirth(world: ControlWorld, api: SimApi, { metadata, spec }: Volume): void {
  const where = `volume ${api.name}/${metadata.name}`;
  if (metadata.labels?.[labels.adopted] !== undefined) {
    throw new Mismatch(`${where} was at the agent, and nobody had asked for it`);
  }
  const teleport = metadata.labels?.[labels.teleport];
  const source = spec.source?.teleport;
  if (teleport === undefined || source === undefined) return;
  const kept = world.find(source.cluster)?.api.find<Volume>('Volume', source.volume);
  if (kept?.metadata.finalizers?.includes(sourceFinalizer(teleport)) === false) {
    throw new Mismatch(`${where} is made, but its source is not kept for it`);
  }
}

function checkSucceeded(world: ControlWorld, now: Teleport, before: Teleport | undefined): void {
  const succeeded = conditionOf(now, 'Succeeded');
  const was = conditionOf(before, 'Succeeded');
  const { name } = now.metadata;
  if (was?.status === 'False' && succeeded?.status !== 'False') {
    throw new Mismatch(`teleport ${name} had failed and is ${succeeded?.status ?? 'unsaid'} now`);
  }
  if (succeeded?.status !== 'True' || was?.status === 'True') return;
  const { destination, thin } = now.spec;
  const target = world.find(destination.cluster);
  const volume = now.status?.volume ?? '';
  if (target === undefined) throw new Mismatch(`teleport ${name} succeeded to nowhere`);
  if (thin !== true) {
    checkNothingMissing(world, target.name, volume, `Teleport ${name}`);
  }
}

function checkNothingMissing(
  world: ControlWorld,
  cluster: string,
  volume: string,
  who: string,
): void {
  const pool = world.find(cluster)?.agent?.running?.pool;
  const device = pool?.volumes().find((one) => one.name === volume);
  // Down, or deleted in this moment.
  if (device === undefined) return;
  const { origin } = device.status();
  if (origin !== undefined) {
    throw new Mismatch(
      `${who} says that ${volume} is complete, but it still needs ${origin.cluster}`,
    );
  }
}
