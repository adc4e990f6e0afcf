/**
 * Repositories that this agent knows: how they are reached is kept in its own directory, for its
 * owner only, because volumes that arrive from one need it after a restart. It is never told.
 */
import type { RequestOf } from '../api/control.ts';
import { apiVersion, type RepositoryObject } from '../api/objects.ts';
import type { RepositoryPlace } from '../api/repository-place.ts';
import { fail } from '../base/errors.ts';
import { checkName, printable } from '../base/names.ts';
import type { Clock, Disk, Log, Random } from '../base/ports.ts';
import type { ObjectStore } from '../peer/repository/object-store.ts';
import { Repository } from '../peer/repository/repository.ts';
import { RepositoryPeer } from '../peer/repository/repository-peer.ts';
import { createRetryingStore } from '../peer/repository/retrying-store.ts';
import type { TeleportPeer } from '../peer/teleport-peer.ts';
import { readDocument, replaceDocument } from '../volume/document.ts';

export interface RepositoriesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly home: Disk;
  readonly cluster: string;
  readonly openObjectStore: (place: RepositoryPlace) => ObjectStore;
}

interface Access {
  readonly name: string;
  readonly place: RepositoryPlace;
  readonly password: string;
}

interface Known {
  readonly access: Access;
  readonly store: ObjectStore;
  readonly peer: RepositoryPeer;
  opened: Promise<Repository> | undefined;
}

const documentPath = 'repositories.json';
const peerPrefix = 'repository:';
/** A job that works there waits so long for a place that is away; then it can be begun again. */
const patienceMs = 10 * 60_000;
/** Somebody waits for an answer. */
const answerMs = 15_000;

/** The repository's name in what a teleport calls its source; undefined: it is a cluster. */
export function repositoryOfPeer(name: string): string | undefined {
  return name.startsWith(peerPrefix) ? name.slice(peerPrefix.length) : undefined;
}

export class Repositories {
  readonly #o: RepositoriesOptions;
  readonly #known = new Map<string, Known>();

  constructor(options: RepositoriesOptions) {
    this.#o = options;
    const saved = readDocument(options.home, documentPath) as
      | { readonly repositories?: readonly Access[] }
      | undefined;
    for (const access of saved?.repositories ?? []) this.#put(access);
  }

  /** Idempotent; other credentials take the place of those that are kept. */
  add(request: RequestOf<'repository.add'>): RepositoryObject {
    const name = checkName(request.name, 'repository');
    if (request.password === '') fail('BadArgument', 'a repository needs a password');
    const access = { name, place: placeIn(request), password: request.password };
    const known = this.#known.get(name);
    if (JSON.stringify(known?.access) !== JSON.stringify(access)) {
      this.#put(access);
      this.#save();
    }
    return this.view(name);
  }

  /** The caller makes sure that no volume needs it. */
  remove(name: string): RepositoryObject {
    const view = this.view(name);
    this.#known.delete(name);
    this.#save();
    return view;
  }

  list(): readonly RepositoryObject[] {
    return [...this.#known.keys()].map((name) => this.view(name));
  }

  view(name: string): RepositoryObject {
    const { store, access } = this.#find(name);
    const metadata = { name: access.name, cluster: this.#o.cluster };
    return { kind: 'Repository', apiVersion, metadata, spec: { place: store.place } };
  }

  /** What a teleport from there asks. `NotFound`. */
  peer(name: string): TeleportPeer {
    return this.#find(name).peer;
  }

  /**
   * For work, which waits, or for an answer, which does not. `NotFound` when nothing was ever saved
   * there, unless `create`; `Unauthorized` for another password.
   */
  async open(
    name: string,
    { create = false, waits = false }: { readonly create?: boolean; readonly waits?: boolean } = {},
  ): Promise<Repository> {
    const known = this.#find(name);
    const { clock, random, log } = this.#o;
    const deadlineMs = waits ? patienceMs : answerMs;
    const store = createRetryingStore(known.store, { clock, random, deadlineMs });
    const ports = { store, clock, random, log };
    // The key takes long to make.
    known.opened ??= Repository.open(ports, known.access.password, { create }).catch(
      (error: unknown) => {
        known.opened = undefined;
        throw error;
      },
    );
    return (await known.opened).within(ports);
  }

  #find(name: string): Known {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const names = [...this.#known.keys()];
    const there = names.length === 0 ? 'none is known here' : `there is ${names.join(', ')}`;
    return fail('NotFound', `no repository '${printable(name)}' (${there})`);
  }

  #put(access: Access): void {
    const { clock, random, log, openObjectStore } = this.#o;
    const store = openObjectStore(access.place);
    const ports = { store, clock, random, log };
    const open = async (patient: ObjectStore) => {
      const opened = await Repository.open({ ...ports, store: patient }, access.password, {
        create: false,
      });
      return opened;
    };
    const peer = new RepositoryPeer({ ports, open });
    this.#known.set(access.name, { access, store, peer, opened: undefined });
  }

  #save(): void {
    const repositories = [...this.#known.values()].map(({ access }) => access);
    replaceDocument(this.#o.home, documentPath, { repositories });
  }
}

function placeIn(request: RequestOf<'repository.add'>): RepositoryPlace {
  const { directory, endpoint, bucket, region, prefix, caBundle, forcePathStyle } = request;
  const { accessKeyId, secretAccessKey } = request;
  if (directory !== undefined && endpoint === undefined) return { directory };
  const isBucket =
    directory === undefined &&
    endpoint !== undefined &&
    bucket !== undefined &&
    accessKeyId !== undefined &&
    secretAccessKey !== undefined;
  if (!isBucket) {
    fail('BadArgument', 'give a directory, or endpoint, bucket, accessKeyId and secretAccessKey');
  }
  return {
    endpoint,
    bucket,
    region: region ?? 'us-east-1',
    prefix: prefix ?? '',
    accessKeyId,
    secretAccessKey,
    forcePathStyle: forcePathStyle ?? false,
    ...(caBundle === undefined ? {} : { caBundle }),
  };
}
