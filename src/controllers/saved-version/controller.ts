/**
 * Versions that are to be saved in a Repository: the agent that has the volume does it, again and
 * again until it is done. What was saved is forgotten with its object.
 */
import { type SavedVersion, savedVersions } from '../../api/kinds/saved-version.ts';
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import { formatMoment, formatSize, parseRate } from '../../base/units.ts';
import type { Outcome } from '../../kube/api.ts';
import { ensureFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import { type Context, type Controller, OwnSource } from '../context.ts';
import { finalizers } from '../labels.ts';
import { Problems } from '../problems.ts';
import { accessOf } from '../repository/access.ts';
import { condition, conditionOf, type Report } from '../status.ts';
import { Saves } from './saves.ts';

const lookAgainMs = 1_000;
const waitAgainMs = 5_000;

type Fields = Omit<NonNullable<SavedVersion['status']>, 'conditions' | 'observedGeneration'>;

export class SavedVersionController implements Controller {
  readonly name = 'SavedVersion';
  readonly concurrency = 4;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #problems: Problems;
  readonly #saves: Saves;
  readonly #own = new OwnSource();

  constructor(context: Context) {
    this.#c = context;
    this.sources = [watching(context.informers.savedVersions), this.#own];
    this.#problems = new Problems(context.ports.clock, context.ports.random);
    this.#saves = new Saves((name) => this.#own.add(name));
  }

  async reconcile(name: string): Promise<Outcome> {
    const cached = this.#c.informers.savedVersions.get({ namespace: '', name });
    if (cached === undefined) {
      this.#problems.clear(name);
      this.#saves.forget(name);
      return {};
    }
    const object = this.#c.statuses.newest(cached);
    if (object.metadata.deletionTimestamp !== undefined) return this.#forget(name, object);
    if (conditionOf(object, 'Succeeded')?.status === 'True') return {};
    const { generation = 0 } = object.metadata;
    const problem = this.#problems.blocking(name, generation);
    if (problem !== undefined) return this.#tell(object, waiting(object, problem));
    try {
      return await this.#advance(name, object);
    } catch (error) {
      const failure = asTransshipError(error);
      this.#problems.note(name, generation, failure);
      return this.#tell(object, waiting(object, failure));
    }
  }

  async #advance(name: string, object: SavedVersion): Promise<Outcome> {
    const state = this.#saves.find(name);
    if (state?.phase === 'Running') return this.#tell(object, running(state));
    if (state?.phase === 'Succeeded') {
      return this.#tell(object, saved(state.result, this.#c.ports.clock.wallMs()));
    }
    if (state !== undefined) {
      this.#saves.forget(name);
      throw state.problem;
    }
    const { spec } = await ensureFinalizer(
      this.#c.client,
      savedVersions,
      object,
      finalizers.savedVersion,
    );
    const { volume, repository, bandwidth } = spec;
    const { mirror, access } = await this.#way(volume, repository);
    await mirror.call('repository.add', access);
    const rate = bandwidth === undefined ? undefined : parseRate(bandwidth);
    await this.#saves.start(name, mirror, {
      name: repository,
      volume,
      version: name,
      ...(rate === undefined ? {} : { bytesPerSecond: rate }),
    });
    return this.#tell(object, running({ phase: 'Running', doneBytes: 0, totalBytes: 0 }));
  }

  async #way(volume: string, repository: string) {
    const { agents, informers } = this.#c;
    const mirror = agents.holding(volume);
    if (mirror === undefined) throw notFound(`no agent of this cluster has volume ${volume}`);
    const object = informers.repositories.get({ namespace: '', name: repository });
    if (object === undefined) throw notFound(`there is no Repository ${repository}`);
    return { mirror, access: await accessOf(this.#c, object) };
  }

  /**
   * What nobody can be asked about any more is let go of: `repository forget` still finds it.
   * Agents that do not answer now are waited for.
   */
  async #forget(name: string, object: SavedVersion): Promise<Outcome> {
    const { volume, repository } = object.spec;
    const known = this.#c.informers.repositories.get({ namespace: '', name: repository });
    const hasAgents = this.#c.agents.all.length > 0;
    if (known !== undefined && hasAgents && object.status?.root !== undefined) {
      try {
        const mirror = this.#c.agents.anyUsable();
        await mirror.call('repository.add', await accessOf(this.#c, known));
        await mirror.call('repository.forget', { name: repository, volume, version: name });
      } catch (error) {
        const problem = asTransshipError(error);
        if (problem.reason !== 'NotFound') {
          await this.#tell(object, waiting(object, problem));
          return { againAfterMs: waitAgainMs };
        }
      }
    }
    await removeFinalizer(this.#c.client, savedVersions, object, finalizers.savedVersion);
    return {};
  }

  async #tell(object: SavedVersion, report: Report): Promise<Outcome> {
    const heldBackMs = await this.#c.statuses.write(savedVersions, object, report);
    const { name = '' } = object.metadata;
    const isOver = report.conditions.some(({ type, status }) => {
      return type === 'Succeeded' && status !== 'Unknown';
    });
    if (isOver) return heldBackMs === undefined ? {} : { againAfterMs: heldBackMs };
    const nextMs = this.#problems.againAfterMs(name) ?? lookAgainMs;
    return { againAfterMs: Math.max(lookAgainMs, Math.min(nextMs, waitAgainMs)) };
  }
}

function notFound(message: string): TransshipError {
  return new TransshipError('NotFound', message);
}

function running({
  doneBytes,
  totalBytes,
}: {
  readonly phase: 'Running';
  readonly doneBytes: number;
  readonly totalBytes: number;
}): Report {
  const percent = totalBytes === 0 ? 0 : Math.min(99, Math.floor((100 * doneBytes) / totalBytes));
  return {
    conditions: [
      condition('Ready', false, 'Saving', 'it is being saved'),
      condition('Succeeded', 'Unknown', 'Saving', `${percent} % was dealt with`),
    ],
    fields: { phase: 'Running', percent },
  };
}

function waiting(object: SavedVersion, { reason, message }: TransshipError): Report {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = object.status ?? {};
  return {
    conditions: [
      condition('Ready', false, reason, message),
      condition('Succeeded', 'Unknown', reason, `${message}; it is tried again`),
    ],
    fields: { ...known, phase: 'Pending' },
  };
}

function saved(result: Readonly<Record<string, unknown>>, nowMs: number): Report {
  const number = (key: string): number => Number(result[key] ?? 0);
  const fields: Fields = {
    phase: 'Saved',
    percent: 100,
    root: String(result['root'] ?? '').slice(0, 64),
    sizeBytes: number('sizeBytes'),
    allocatedBytes: number('allocatedBytes'),
    addedBytes: number('addedBytes'),
    added: formatSize(number('addedBytes')),
    completionTime: formatMoment(nowMs),
  };
  const message = 'it can be opened wherever the repository can be reached';
  const conditions = [
    condition('Ready', true, 'Saved', message),
    condition('Succeeded', true, 'Saved', message),
  ];
  return { conditions, fields };
}
