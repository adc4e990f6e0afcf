/** One object after the other as the source has it, except what others have made theirs. */
import { TransshipError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createDiscovery } from '../../kube/discovery.ts';
import { keyOf, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import { differencesOf } from '../../workload/existing.ts';
import { typeOf } from '../../workload/existing-run.ts';
import { withoutAt } from '../../workload/fields.ts';
import { nameKey, nameOf, nameText } from '../../workload/names.ts';
import { preparedFor } from '../../workload/transform-context.ts';
import { uidOf } from '../migration/run.ts';
import type { Counted, ReplicationRun } from './as-plan.ts';
import { clashesOf, isScaling } from './edits.ts';
import { lookAtAll } from './looks.ts';

interface Looked {
  readonly type: ResourceType;
  /** As it is wanted. */
  readonly object: KubeObject;
  /** Uid of the replication. */
  readonly mark: string;
}

/** Who has changed what we made; undefined: nobody, or it is not there, or it is none of ours. */
export async function lookForEdits(
  client: KubeClient,
  { type, object, mark }: Looked,
): Promise<{ readonly by: string } | 'scaled' | undefined> {
  const there = await client.get<KubeObject>(type, keyOf(object));
  if (there?.metadata.annotations?.[preparedFor] !== mark) return undefined;
  if (differencesOf(object, there).length === 0) return undefined;
  const clashes = await clashesOf(client, type, object);
  if (clashes.length === 0) return undefined;
  if (clashes.every(isScaling)) return 'scaled';
  const others = clashes.filter((one) => !isScaling(one));
  return {
    by: [...new Set(others.map(({ manager, field }) => `${manager} (${field})`))].join(', '),
  };
}

interface Edited {
  readonly kept: ReadonlyMap<string, string>;
  readonly scaled: ReadonlySet<string>;
}

type Outcome = 'replicated' | 'kept' | 'failed';

/** Objects of one kind that are worked on at once. */
const atOnce = 8;

/** Neighbours of one kind, few at a time: between kinds the order counts. */
export async function eachOfKind(
  objects: AsyncIterable<KubeObject>,
  act: (object: KubeObject) => Promise<void>,
): Promise<void> {
  let batch: KubeObject[] = [];
  const flush = async (): Promise<void> => {
    const now = batch;
    batch = [];
    await Promise.all(now.map(act));
  };
  for await (const object of objects) {
    if (batch[0] !== undefined && batch[0].kind !== object.kind) await flush();
    batch.push(object);
    if (batch.length >= atOnce) await flush();
  }
  await flush();
}

/** Names of objects that carry the mark, by kind and namespace; each is listed once. */
export class Marked {
  readonly #client: KubeClient;
  readonly #mark: string;
  readonly #known = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(client: KubeClient, mark: string) {
    this.#client = client;
    this.#mark = mark;
  }

  async has(type: ResourceType, { metadata }: KubeObject): Promise<boolean> {
    const { namespace = '', name = '' } = metadata;
    const key = `${type.plural}.${type.group}/${namespace}`;
    const known = this.#known.get(key) ?? this.#list(type, namespace);
    this.#known.set(key, known);
    return (await known).has(name);
  }

  async #list(type: ResourceType, namespace: string): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    await lookAtAll(
      this.#client,
      type,
      ({ metadata }: KubeObject) => {
        if (metadata.annotations?.[preparedFor] === this.#mark) names.add(metadata.name ?? '');
      },
      type.namespaced ? { namespace } : {},
    );
    return names;
  }
}

/** Errors as the API server has them; what it takes in no way is told at the end. */
export class Applying {
  readonly #run: ReplicationRun;
  readonly #client: KubeClient;
  readonly #edited: Edited;
  readonly #discovery;
  readonly #counts = new Map<string, Counted>();
  readonly #failures: string[] = [];

  constructor(run: ReplicationRun, edited: Edited) {
    this.#run = run;
    this.#client = run.destination.client;
    this.#edited = edited;
    this.#discovery = createDiscovery(this.#client);
  }

  async apply(object: KubeObject): Promise<void> {
    const type = await typeOf(this.#discovery, object);
    const outcome = await this.#applyOne(type, object);
    const resource = type.group === '' ? type.plural : `${type.plural}.${type.group}`;
    const before = this.#counts.get(resource) ?? { resource, total: 0, replicated: 0 };
    const counted = { ...before, total: before.total + 1 };
    this.#counts.set(resource, { ...counted, [outcome]: (before[outcome] ?? 0) + 1 });
  }

  /** What could not be made, a sentence each. */
  async finish(): Promise<readonly string[]> {
    await this.#run.tell([...this.#counts.values()]);
    return this.#failures;
  }

  async #applyOne(type: ResourceType, object: KubeObject): Promise<Outcome> {
    const name = nameOf(object);
    const there = await this.#client.get<KubeObject>(type, keyOf(object));
    if (there === undefined) return this.#make(type, object);
    if (there.metadata.deletionTimestamp !== undefined) {
      throw new TransshipError('InUse', `${nameText(name)} is being deleted at the destination`);
    }
    if (there.metadata.annotations?.[preparedFor] !== uidOf(this.#run.replication)) {
      this.#run.warn(`${nameText(name)} is there and was not made by this replication: it stays.`);
      return 'kept';
    }
    const by = this.#edited.kept.get(nameKey(name));
    if (by !== undefined) {
      this.#run.warn(`${nameText(name)} was changed at the destination by ${by}: it stays so.`);
      return 'kept';
    }
    const isScaled = this.#edited.scaled.has(nameKey(name));
    const wanted = isScaled ? withoutAt(object, ['spec', 'replicas']) : object;
    if (differencesOf(wanted, there).length === 0) return 'replicated';
    const { uid } = there.metadata;
    const metadata = { ...wanted.metadata, ...(uid === undefined ? {} : { uid }) };
    return this.#trying(name, () => this.#client.apply(type, { ...wanted, metadata }));
  }

  async #make(type: ResourceType, object: KubeObject): Promise<Outcome> {
    return this.#trying(nameOf(object), async () => {
      try {
        await this.#client.apply(type, object);
      } catch (error) {
        if (!(error instanceof TransshipError) || error.reason !== 'Invalid') throw error;
        // Lists that name one thing twice can be made, and not applied.
        await this.#client.create(type, object);
      }
    });
  }

  async #trying(name: ReturnType<typeof nameOf>, act: () => Promise<unknown>): Promise<Outcome> {
    try {
      await act();
      return 'replicated';
    } catch (error) {
      const isRefused = error instanceof TransshipError && refused.has(error.reason);
      if (!isRefused) throw error;
      const what = `${nameText(name)} is not taken by the destination: ${error.message}`;
      this.#failures.push(what);
      this.#run.warn(`${what}.`);
      return 'failed';
    }
  }
}

/** Trying again does not help. */
const refused: ReadonlySet<string> = new Set(['Invalid', 'Forbidden', 'Unsupported']);
