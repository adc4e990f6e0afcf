/**
 * Image transfers: one image goes from the registry of one cluster to that of another, straight
 * through this process. Attempts are repeated with back-off; each goes on with what is missing.
 * Deleting the object ends the copy. What is at the destination stays: layers are found by their
 * digest, so nothing has to be taken away and no finalizer is needed.
 */
import type { Cluster } from '../../api/kinds/cluster.ts';
import { type ImageTransfer, imageTransfers } from '../../api/kinds/image-transfer.ts';
import { migrations } from '../../api/kinds/migration.ts';
import { plans } from '../../api/kinds/plan.ts';
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import { formatMoment } from '../../base/units.ts';
import { copyImage, type ImageEnd } from '../../images/images.ts';
import type { Informer, Outcome } from '../../kube/api.ts';
import { parseKey } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import { type Context, type Controller, OwnSource } from '../context.ts';
import type { OpenRegistries } from '../ports.ts';
import { Problems } from '../problems.ts';
import type { Report } from '../status.ts';
import { Copying } from './copying.ts';
import { clusterCredentials, pullCredentials } from './credentials.ts';
import { paced, PlanRates } from './pace.ts';
import { type RegistryPlace, registryOf } from './place.ts';
import {
  failedReport,
  isOver,
  pendingReport,
  progressFields,
  runningReport,
  succeededReport,
} from './report.ts';

/** Of all migrations together: each copy takes up to 64 MiB of memory. */
const copiesMax = 8;
/** Failures in a row that another attempt may mend. */
const failuresMax = 5;
const lookMs = 1_000;

type SideName = 'source' | 'destination';

interface Ends {
  readonly from: ImageEnd;
  readonly to: ImageEnd;
  close(): void;
}

export class ImageTransferController implements Controller {
  readonly name = 'ImageTransfer';
  readonly concurrency = 4;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #transfers: Informer<ImageTransfer>;
  readonly #own = new OwnSource();
  readonly #problems: Problems;
  readonly #copies = new Map<string, Copying>();
  readonly #failures = new Map<string, number>();
  readonly #rates: PlanRates;

  constructor(context: Context) {
    this.#c = context;
    this.#transfers = context.informers.imageTransfers;
    this.#problems = new Problems(context.ports.clock, context.ports.random);
    this.#rates = new PlanRates(context.ports.clock);
    this.sources = [watching(this.#transfers), this.#own];
  }

  stop(): void {
    for (const copy of this.#copies.values()) copy.stop();
  }

  async reconcile(key: string): Promise<Outcome> {
    const cached = this.#transfers.get(parseKey(key));
    const copy = this.#copies.get(key);
    const isAnother = copy !== undefined && copy.uid !== cached?.metadata.uid;
    const isGoing = cached?.metadata.deletionTimestamp !== undefined;
    if (cached === undefined || isAnother || isGoing) this.#forget(key);
    if (cached === undefined || isGoing) return {};
    const object = this.#c.statuses.newest(cached);
    if (isOver(object)) {
      this.#forget(key);
      return {};
    }
    const going = this.#copies.get(key);
    if (going !== undefined) return this.#follow(key, object, going);
    const { generation = 0 } = object.metadata;
    const blocker = this.#problems.blocking(key, generation);
    if (blocker !== undefined || this.#copies.size >= copiesMax) {
      await this.#write(object, pendingReport(object, blocker));
      return { againAfterMs: this.#problems.againAfterMs(key) ?? lookMs };
    }
    return this.#begin(key, object);
  }

  #forget(key: string): void {
    this.#copies.get(key)?.stop();
    this.#copies.delete(key);
    if (this.#copies.size === 0) this.#rates.clear();
    this.#failures.delete(key);
    this.#problems.clear(key);
  }

  async #begin(key: string, object: ImageTransfer): Promise<Outcome> {
    const { clock, random } = this.#c.ports;
    let ends: Ends;
    try {
      ends = await this.#endsOf(object);
    } catch (error) {
      return this.#failed(key, object, asTransshipError(error));
    }
    const copy = new Copying(object.metadata.uid ?? '', clock);
    // Counted before it is begun. Nobody else works on this key meanwhile.
    this.#copies.set(key, copy);
    try {
      await this.#c.statuses.set(imageTransfers, object, {
        phase: 'Running',
        method: 'Direct',
        attempts: (object.status?.attempts ?? 0) + 1,
        startTime: object.status?.startTime ?? formatMoment(clock.wallMs()),
        route: `${ends.from.address ?? ''} to ${ends.to.address ?? ''}`.slice(0, 256),
      });
    } catch (error) {
      this.#copies.delete(key);
      ends.close();
      throw error;
    }
    const work = copyImage(
      { clock, random },
      {
        from: this.#paced(ends.from, object, copy),
        to: ends.to,
        verify: object.spec.verify === true,
        signal: copy.signal,
        onProgress: (progress) => copy.tell(progress),
      },
    );
    void copy.run(work).then(() => {
      ends.close();
      this.#own.add(key);
    });
    return { againAfterMs: lookMs };
  }

  /** What is sent on is what was read, so that one side is enough. */
  #paced(from: ImageEnd, object: ImageTransfer, { signal }: Copying): ImageEnd {
    const limit = this.#rates.limitOf(this.#c, object);
    if (limit === undefined) return from;
    return { ...from, transport: paced(from.transport, limit, signal) };
  }

  async #follow(key: string, object: ImageTransfer, copy: Copying): Promise<Outcome> {
    const { copied } = copy;
    if (copied === undefined) {
      // The plan may say another rate by now.
      this.#rates.limitOf(this.#c, object);
      const progress = progressFields(copy.progress, copy.rate());
      await this.#write(object, runningReport(object, progress, this.#secondsOf(object)));
      return { againAfterMs: lookMs };
    }
    if ('error' in copied) return this.#failed(key, object, copied.error);
    await this.#write(object, succeededReport(object, copied.image, this.#endOf(object)));
    this.#forget(key);
    return {};
  }

  /** Another attempt where that can help, else the end. */
  async #failed(key: string, object: ImageTransfer, error: TransshipError): Promise<Outcome> {
    // This process ends: the next one goes on.
    if (error.reason === 'Canceled' || error.reason === 'Stopping') return {};
    const failures = (this.#failures.get(key) ?? 0) + 1;
    if (!error.retryable || failures >= failuresMax) {
      await this.#write(object, failedReport(object, error, this.#endOf(object)));
      this.#forget(key);
      return {};
    }
    // Counted once, also when the report meets a conflict and all this is done again.
    await this.#write(object, pendingReport(object, error));
    this.#failures.set(key, failures);
    this.#problems.note(key, object.metadata.generation ?? 0, error);
    this.#copies.delete(key);
    return { againAfterMs: this.#problems.againAfterMs(key) ?? lookMs };
  }

  #secondsOf({ status }: ImageTransfer): number {
    const sinceMs = Date.parse(status?.startTime ?? '');
    const ms = this.#c.ports.clock.wallMs() - sinceMs;
    return Number.isFinite(ms) ? Math.max(0, Math.round(ms / 1000)) : 0;
  }

  #endOf(object: ImageTransfer) {
    return {
      wallMs: this.#c.ports.clock.wallMs(),
      elapsedSeconds: this.#secondsOf(object),
    };
  }

  async #write(object: ImageTransfer, report: Report): Promise<void> {
    await this.#c.statuses.write(imageTransfers, object, report);
  }

  async #endsOf(object: ImageTransfer): Promise<Ends> {
    if (object.spec.method === 'Repository') {
      const message = 'images do not go through a repository; set images to Direct in the plan';
      fail('Unsupported', message);
    }
    const opened: OpenRegistries[] = [];
    const close = () => {
      for (const one of opened) one.close();
    };
    try {
      const from = await this.#endOfSide(object, 'source', opened);
      const to = await this.#endOfSide(object, 'destination', opened);
      return { from, to, close };
    } catch (error) {
      close();
      throw error;
    }
  }

  async #endOfSide(
    object: ImageTransfer,
    side: SideName,
    opened: OpenRegistries[],
  ): Promise<ImageEnd> {
    const { cluster: name, reference } = object.spec[side];
    const cluster = this.#c.informers.clusters.get({ namespace: '', name });
    if (cluster === undefined) return fail('NotFound', `there is no Cluster ${name}`);
    const place = placeOf(cluster);
    const credentials = await this.#credentialsOf(object, place, side);
    const { registries } = this.#c.ports;
    const open = registries.open(place.ca === undefined ? {} : { ca: place.ca });
    opened.push(open);
    return {
      image: `${place.host}/${reference}`,
      address: place.address,
      transport: open.transport,
      ...(credentials === undefined ? {} : { credentials }),
    };
  }

  /** Without a Secret of the Cluster: what its pods pull with, or its builds push with. */
  async #credentialsOf(object: ImageTransfer, place: RegistryPlace, side: SideName) {
    const { client, remotes } = this.#c;
    if (place.credentials !== undefined) {
      return clusterCredentials(client, place.credentials, place);
    }
    const access = remotes.find(place.cluster);
    if (access === undefined) return undefined;
    const { reference } = object.spec[side];
    // In the registry of OpenShift a path begins with a namespace, whose accounts may use it.
    const own = reference.slice(0, Math.max(0, reference.indexOf('/')));
    const others = side === 'source' ? await this.#namespacesOf(object) : [];
    const namespaces = [...new Set([own, ...others])].filter((name) => name !== '');
    return pullCredentials(access.client, namespaces, place);
  }

  /** At the source. */
  async #namespacesOf({ metadata, spec }: ImageTransfer): Promise<readonly string[]> {
    const { namespace = '' } = metadata;
    if (spec.migration === undefined) return [];
    const migration = await this.#c.client.get(migrations, { namespace, name: spec.migration });
    if (migration === undefined) return [];
    const plan = await this.#c.client.get(plans, { namespace, name: migration.spec.plan });
    return (plan?.spec.namespaces ?? []).map(({ name }) => name);
  }
}

function placeOf(cluster: Cluster): RegistryPlace {
  const place = registryOf(cluster);
  if (place !== undefined) return place;
  const { name = '' } = cluster.metadata;
  const message = `cluster ${name} has no registry: give spec.registry of Cluster ${name}`;
  throw new TransshipError('NotFound', message);
}
