/** delete and deletecollection: preconditions, grace, finalizers, propagation. */
import { formatSecond } from '../../base/units.ts';
import type { KubeResponse } from '../../kube/transport.ts';
import type { Json, JsonObject } from '../schema/api.ts';
import { bodyObject } from './body.ts';
import { isFinished } from './change.ts';
import { cleanupFinalizer, definitionCollection } from './definitions.ts';
import { metaOf, nameOf, numberAt, objectAt, textAt, textsAt, withMeta } from './json.ts';
import { breathe, type Call, timeText } from './kernel.ts';
import { hasGeneration } from './kinds.ts';
import { objectOf } from './present.ts';
import { isSelected, prefixOf, selectionOf } from './reading.ts';
import { apiVersionText, isDeleting, toStorage } from './registry.ts';
import { isTrue } from './request.ts';
import { encode, objectResponse, streamResponse } from './response.ts';
import { badRequest, conflict, forbidden, invalidOptions, notFound } from './status.ts';
import type { Draft, Entry } from './store.ts';
import { isDryRun } from './write-options.ts';

/** Objects deleted between two pauses of the thread. */
const deletedPerTurn = 50;
const graceSecondsDefault = 30;
const foreground = 'foregroundDeletion';
const orphan = 'orphan';

export interface DeleteOptions {
  readonly dryRun: boolean;
  readonly graceSeconds: number | undefined;
  readonly propagation: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** Of a body (meta/v1 DeleteOptions) and, where it does not say, of the query. */
export function optionsFrom(body: JsonObject, query: URLSearchParams): DeleteOptions {
  const preconditions = objectAt(body, 'preconditions');
  const dryRuns = [...query.getAll('dryRun'), ...textsAt(body, 'dryRun')];
  const orphans = body['orphanDependents'] === true || isTrue(query.get('orphanDependents'));
  const says = textAt(body, 'propagationPolicy') || (query.get('propagationPolicy') ?? '');
  if (!['', 'Background', 'Foreground', 'Orphan'].includes(says)) {
    const message =
      `Unsupported value: "${says}": supported values: ` +
      '"Foreground", "Background", "Orphan", "nil"';
    const reason = 'FieldValueNotSupported';
    throw invalidOptions('DeleteOptions', [{ reason, field: 'propagationPolicy', message }]);
  }
  const grace = numberAt(body, 'gracePeriodSeconds') ?? graceParameter(query);
  return {
    dryRun: isDryRun(dryRuns, 'DeleteOptions'),
    // A negative period asks for the shortest one there is.
    graceSeconds: grace !== undefined && grace < 0 ? 1 : grace,
    propagation: says === '' && orphans ? 'Orphan' : says,
    uid: textAt(preconditions, 'uid'),
    resourceVersion: textAt(preconditions, 'resourceVersion'),
  };
}

function graceParameter(query: URLSearchParams): number | undefined {
  const text = query.get('gracePeriodSeconds') ?? '';
  if (text === '') return undefined;
  if (!/^-?\d{1,9}$/.test(text)) throw badRequest(`invalid gracePeriodSeconds: ${text}`);
  return Number(text);
}

export function deleteObject(call: Call): KubeResponse {
  const { store } = call.kernel;
  const options = optionsFrom(bodyObject(call.info) ?? {}, call.info.query);
  const { name, namespace } = call.target;
  requireMortal(call);
  const entry = store.get(`${call.resource.collection}${namespace}/${name}`);
  if (entry === undefined) throw notFound(call.resource.served, name);
  const outcome = deleteEntry(call, entry, withDefaultPropagation(call, options));
  if (!outcome.gone) return objectResponse(200, outcome.object);
  const { served } = call.resource;
  return objectResponse(200, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name,
      ...(served.group === '' ? {} : { group: served.group }),
      kind: served.plural,
      uid: textAt(metaOf(outcome.object), 'uid'),
    },
  });
}

const immortal: ReadonlySet<string> = new Set(['default', 'kube-public', 'kube-system']);

/** Throws 403 for the namespaces that every cluster needs. */
function requireMortal({ resource, target }: Call): void {
  if (resource.collection !== '//namespaces/' || !immortal.has(target.name)) return;
  throw forbidden(resource.served, target.name, 'this namespace may not be deleted');
}

/** The API of Jobs is older than the collector, and leaves their pods alone when not told. */
function withDefaultPropagation(call: Call, options: DeleteOptions): DeleteOptions {
  if (options.propagation !== '' || call.resource.collection !== '/batch/jobs/') return options;
  call.warnings.push(
    'child pods are preserved by default when jobs are deleted; set ' +
      'propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress ' +
      'this warning',
  );
  return { ...options, propagation: 'Orphan' };
}

export async function deleteCollection(call: Call): Promise<KubeResponse> {
  const { kernel } = call;
  const options = optionsFrom(bodyObject(call.info) ?? {}, call.info.query);
  const selection = selectionOf(call);
  const entries = [...kernel.store.list({ prefix: prefixOf(call) })];
  const texts: string[] = [];
  for (let at = 0; at < entries.length; at += deletedPerTurn) {
    const drafts: Draft[] = [];
    for (const { key } of entries.slice(at, at + deletedPerTurn)) {
      // It may have changed, or gone, in a pause.
      const entry = kernel.store.get(key);
      if (entry === undefined || !isSelected(call, selection, entry)) continue;
      const { object, draft } = planDeletion(call, entry, options);
      texts.push(JSON.stringify(object));
      if (draft !== undefined && !options.dryRun) drafts.push(draft);
    }
    kernel.store.commit(drafts);
    await breathe(kernel.clock);
  }
  return streamResponse(deletedList(call, texts));
}

/** What was deleted, as a list, object after object. */
async function* deletedList(
  { kernel, resource }: Call,
  texts: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const { served } = resource;
  const metadata = { resourceVersion: String(kernel.store.version) };
  const head = { kind: served.listKind, apiVersion: apiVersionText(served), metadata };
  yield encode(`${JSON.stringify(head).slice(0, -1)},"items":[`);
  for (let at = 0; at < texts.length; at += deletedPerTurn) {
    yield encode((at === 0 ? '' : ',') + texts.slice(at, at + deletedPerTurn).join(','));
    await breathe(kernel.clock);
  }
  yield encode(']}');
}

/** Where an object to be deleted is. */
export type Place = Pick<Call, 'kernel' | 'resource'>;

export interface Outcome {
  /** As it last was, or as it now waits for its end. */
  readonly object: JsonObject;
  readonly gone: boolean;
}

export function deleteEntry(place: Place, entry: Entry, options: DeleteOptions): Outcome {
  const { kernel, resource } = place;
  const planned = planDeletion(place, entry, options);
  if (planned.draft === undefined || options.dryRun) return planned;
  const [now] = kernel.store.commit([planned.draft]);
  if (now === undefined) return planned;
  const object = planned.gone
    ? withMeta(planned.object, { resourceVersion: String(now.version) })
    : objectOf(kernel.store, resource, now);
  return { object, gone: planned.gone };
}

/** What a deletion would change; no draft: nothing. */
export function planDeletion(
  place: Place,
  entry: Entry,
  options: DeleteOptions,
): Outcome & { readonly draft: Draft | undefined } {
  const { kernel, resource } = place;
  const live = objectOf(kernel.store, resource, entry);
  requirePreconditions(place, live, options);
  const marked = markedForDeletion(place, live, options);
  const { key } = entry;
  if (isFinished(marked)) return { object: live, gone: true, draft: { key, object: undefined } };
  if (marked === live) return { object: live, gone: false, draft: undefined };
  const draft = { key, object: toStorage(resource, marked) };
  return { object: marked, gone: false, draft };
}

function requirePreconditions(place: Place, live: JsonObject, options: DeleteOptions): void {
  const meta = metaOf(live);
  const { served } = place.resource;
  const check = (what: string, wanted: string, is: string, then: string): void => {
    if (wanted === '' || wanted === is) return;
    const why =
      `the ${what} in the precondition (${wanted}) does not match the ${what} in record ` +
      `(${is}). The object might have been ${then}`;
    const name = nameOf(live);
    throw conflict(served, name, why, served.kind);
  };
  check('UID', options.uid, textAt(meta, 'uid'), 'deleted and then recreated');
  const version = textAt(meta, 'resourceVersion');
  check('ResourceVersion', options.resourceVersion, version, 'modified');
}

/** The object with the marks of a deletion; itself when it has them all already. */
function markedForDeletion(place: Place, live: JsonObject, options: DeleteOptions): JsonObject {
  const meta = metaOf(live);
  const own = place.resource.collection === definitionCollection ? [cleanupFinalizer] : [];
  const wasDeleting = isDeleting(live);
  const before = [...textsAt(meta, 'finalizers'), ...(wasDeleting ? [] : own)];
  const finalizers = finalizersFor([...new Set(before)], options.propagation);
  const grace = graceOf(place, live, options);
  const graceBefore = numberAt(meta, 'deletionGracePeriodSeconds') ?? 0;
  const isShorter = !wasDeleting || grace < graceBefore;
  const isSameList = finalizers.join() === textsAt(meta, 'finalizers').join();
  if (!isShorter && isSameList) return live;
  const generation = numberAt(meta, 'generation');
  const bumped =
    !wasDeleting && hasGeneration(place.resource.served) && generation !== undefined
      ? { generation: generation + 1 }
      : {};
  const times = isShorter
    ? { deletionTimestamp: deletionTime(place, live, grace), deletionGracePeriodSeconds: grace }
    : {};
  const list: Json | undefined = finalizers.length === 0 ? undefined : finalizers;
  const marked = withMeta(live, { ...bumped, ...times, finalizers: list });
  if (place.resource.collection !== '//namespaces/') return marked;
  return { ...marked, status: { ...objectAt(live, 'status'), phase: 'Terminating' } };
}

/** When it is to be over. A period that is cut short counts from where the longer one began. */
function deletionTime(place: Place, live: JsonObject, grace: number): string {
  const meta = metaOf(live);
  const before = Date.parse(textAt(meta, 'deletionTimestamp'));
  const { clock } = place.kernel;
  if (Number.isNaN(before)) return timeText(clock, grace);
  const longer = numberAt(meta, 'deletionGracePeriodSeconds') ?? 0;
  return formatSecond(before - (longer - grace) * 1000);
}

function finalizersFor(before: readonly string[], propagation: string): readonly string[] {
  if (propagation === '') return before;
  const others = before.filter((name) => name !== foreground && name !== orphan);
  if (propagation === 'Foreground') return [...others, foreground];
  return propagation === 'Orphan' ? [...others, orphan] : others;
}

/** Only pods that may run somewhere get time to stop. */
function graceOf(place: Place, live: JsonObject, options: DeleteOptions): number {
  if (place.resource.collection !== '//pods/') return 0;
  const spec = objectAt(live, 'spec');
  const phase = textAt(objectAt(live, 'status'), 'phase');
  if (textAt(spec, 'nodeName') === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
  const own = numberAt(spec, 'terminationGracePeriodSeconds') ?? graceSecondsDefault;
  return options.graceSeconds ?? own;
}
