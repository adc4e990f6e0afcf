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

const probeEveryMs = 300_000;
const probeAgainMs = 30_000;
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

  constructor(context: Context) {
    this.#c = context;
    this.sources = [watching(context.informers.repositories)];
  }

  async reconcile(name: string): Promise<Outcome> {
    const cached = this.#c.informers.repositories.get({ namespace: '', name });
    if (cached === undefined) {
      this.#probed.delete(name);
      return {};
    }
    const object = this.#c.statuses.newest(cached);
    const probed = await this.#probe(name, object);
    const report = reportOf(object, probed);
    const heldBackMs = await this.#c.statuses.write(repositories, object, report);
    const nextMs = isError(probed) ? probeAgainMs : probeEveryMs;
    return { againAfterMs: Math.min(heldBackMs ?? nextMs, nextMs) };
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

function reportOf(object: Repository, { result, time }: Probed): Report {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = object.status ?? {};
  if (result instanceof Error) {
    // What was counted earlier is the best that is known.
    const ready = condition('Ready', false, result.reason, result.message);
    return { conditions: [ready], fields: known };
  }
  const { bytes, objects } = result;
  const message = 'it can be listed; what backups save is counted once backups can be made';
  return {
    conditions: [condition('Ready', true, 'Ready', message)],
    fields: { ...known, bytes, objects, size: formatSize(bytes), lastProbeTime: time },
  };
}
