/** Repositories: the place is tried with real bytes, again and again, and the result is told. */
import { repositories, type Repository } from '../../api/kinds/repository.ts';
import { asTransshipError, fail, type TransshipError } from '../../base/errors.ts';
import { formatMoment, formatSize } from '../../base/units.ts';
import type { Outcome } from '../../kube/api.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Context, Controller } from '../context.ts';
import { within } from '../pace.ts';
import { condition, type Report } from '../status.ts';
import { placeOfRepository } from './place.ts';
import { tellAgents, type Told } from './tell-agents.ts';

const probeEveryMs = 300_000;
const probeAgainMs = 30_000;
const tellAgainMs = 5_000;
/** A probe counts what is there, which takes a while where much is. */
const probeDeadlineMs = 120_000;

interface Probed {
  readonly generation: number;
  readonly atMs: number;
  readonly time: string;
  readonly result: { readonly bytes: number; readonly objects: number } | TransshipError;
}

export class RepositoryController implements Controller {
  readonly name = 'Repository';
  readonly concurrency = 2;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #probed = new Map<string, Probed>();
  readonly #told = new Map<string, { readonly mark: string; readonly told: Told }>();

  constructor(context: Context) {
    this.#c = context;
    const { repositories: known } = context.informers;
    this.sources = [
      watching(known),
      // One that is new, or that was away, knows nothing.
      context.agents.source(({ kind }) => {
        if (kind !== 'Agent') return [];
        return [...known.list()].flatMap(({ metadata }) => metadata.name ?? []);
      }),
    ];
  }

  async reconcile(name: string): Promise<Outcome> {
    const cached = this.#c.informers.repositories.get({ namespace: '', name });
    if (cached === undefined) {
      this.#probed.delete(name);
      this.#told.delete(name);
      return {};
    }
    const object = this.#c.statuses.newest(cached);
    const probed = await this.#probe(name, object);
    const told = isError(probed) ? undefined : await this.#tell(name, object, probed);
    const report = reportOf(object, probed, told);
    const heldBackMs = await this.#c.statuses.write(repositories, object, report);
    const isLacking = told?.known.status === 'False' && told.known.reason !== 'NoAgents';
    const nextMs = isLacking ? tellAgainMs : isError(probed) ? probeAgainMs : probeEveryMs;
    return { againAfterMs: Math.min(heldBackMs ?? nextMs, nextMs) };
  }

  /** Once for each probe and each set of agents that can be asked. */
  async #tell(name: string, object: Repository, probed: Probed): Promise<Told> {
    const usable = this.#c.agents.all.filter((mirror) => mirror.usable);
    const mark = `${probed.atMs} ${usable.map(({ place }) => place.name).join()}`;
    const before = this.#told.get(name);
    if (before?.mark === mark && before.told.known.status === 'True') return before.told;
    const told = await tellAgents(this.#c, object);
    this.#told.set(name, { mark, told });
    return told;
  }

  /** A change of the status brings us here too: what was just probed is not probed again. */
  async #probe(name: string, object: Repository): Promise<Probed> {
    const { clock, repositories: probe } = this.#c.ports;
    const { generation = 0 } = object.metadata;
    const known = this.#probed.get(name);
    const ageMs = clock.monotonicMs() - (known?.atMs ?? Number.NEGATIVE_INFINITY);
    const freshMs = known !== undefined && isError(known) ? probeAgainMs : probeEveryMs;
    if (known?.generation === generation && ageMs < freshMs) return known;
    const late = () => fail('TimedOut', `no answer within ${probeDeadlineMs / 1000} s`);
    let result: Probed['result'];
    try {
      const place = await placeOfRepository(this.#c.client, object);
      result = await within(clock, probeDeadlineMs, probe.probe(place), late);
    } catch (error) {
      result = asTransshipError(error);
    }
    const time = formatMoment(clock.wallMs());
    const probed = { generation, atMs: clock.monotonicMs(), time, result };
    this.#probed.set(name, probed);
    return probed;
  }
}

function isError({ result }: Probed): boolean {
  return result instanceof Error;
}

function reportOf(object: Repository, { result, time }: Probed, told: Told | undefined): Report {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = object.status ?? {};
  if (result instanceof Error) {
    // What was counted earlier is the best that is known.
    const ready = condition('Ready', false, result.reason, result.message);
    return { conditions: [ready], fields: known };
  }
  const { bytes, objects } = result;
  const ready = condition('Ready', true, 'Ready', 'bytes were written to it and read back');
  const counted = { bytes, objects, size: formatSize(bytes), lastProbeTime: time };
  return {
    conditions: told === undefined ? [ready] : [ready, told.known],
    fields: { ...known, ...counted, ...told?.counts },
  };
}
