/** get and list: consistent pages, selectors, tables; large answers are streamed. */
import { stringify } from 'yaml';
import type { KubeResponse } from '../../kube/transport.ts';
import type { JsonObject } from '../schema/api.ts';
import { fieldSelectorOf, type ObjectSelector } from './fields.ts';
import { isObject, parseObject } from './json.ts';
import { breathe, type Call, keyOfCall } from './kernel.ts';
import { type Negotiated, negotiate } from './negotiation.ts';
import { forbiddenValue } from './metadata.ts';
import { objectOf, textOf } from './present.ts';
import { apiVersionText } from './registry.ts';
import { countParameter } from './request.ts';
import { encode, jsonResponse, streamResponse } from './response.ts';
import { type LabelSelector, parseLabelSelector } from './selector.ts';
import {
  badRequest,
  failure,
  invalidOptions,
  notFound,
  plainFailure,
  tooLargeVersion,
  unparsable,
} from './status.ts';
import type { Entry } from './store.ts';
import { type IncludeObject, makeTable, partial } from './table.ts';

/** Characters of a streamed answer between two pauses of the thread: a few milliseconds. */
const chunkCharsMax = 256 * 1024;
/** Objects that are parsed, to be selected or to become rows, between two pauses. */
const parsedPerTurn = 200;

export function getObject(call: Call): KubeResponse {
  const { kernel, resource, target, info } = call;
  const form = negotiate(info.request.headers['accept'], ['object', 'table', 'partial']);
  const asked = versionParameter(info.query.get('resourceVersion') ?? '');
  if (asked > kernel.store.version) throw tooLargeVersion(asked, kernel.store.version);
  const entry = kernel.store.get(keyOfCall(call));
  if (entry === undefined) throw notFound(resource.served, target.name);
  if (form.form === 'object' && !form.yaml) {
    return jsonResponse(200, textOf(kernel.store, resource, entry));
  }
  return presented(call, objectOf(kernel.store, resource, entry), form);
}

/** One object in the form that the client asked for. */
export function presented(call: Call, object: JsonObject, form: Negotiated): KubeResponse {
  const text = JSON.stringify(shaped(call, object, form));
  if (!form.yaml) return jsonResponse(200, text);
  const headers = { 'content-type': 'application/yaml' };
  return jsonResponse(200, yamlText(text), headers);
}

function shaped(call: Call, object: JsonObject, form: Negotiated): JsonObject {
  if (form.form === 'partial') return partial(object, form.version);
  if (form.form !== 'table') return object;
  const { kernel, resource, info } = call;
  const maker = makeTable(resource.served, includeOf(info.query), kernel.library);
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${form.version}`,
    metadata: { resourceVersion: String(metadataVersion(object)) },
    columnDefinitions: maker.columns,
    rows: [maker.row(object, kernel.clock.wallMs())],
  };
}

function metadataVersion(object: JsonObject): string {
  const { metadata } = object;
  return isObject(metadata) ? String(metadata['resourceVersion']) : '';
}

export function includeOf(query: URLSearchParams): IncludeObject {
  const text = query.get('includeObject') ?? '';
  if (text === '' || text === 'Metadata') return 'Metadata';
  if (text === 'None' || text === 'Object') return text;
  throw badRequest(`unsupported includeObject: ${text}`);
}

export interface Selection {
  /** A watch of one object names it in its path. */
  readonly key: string | undefined;
  readonly labels: LabelSelector | undefined;
  readonly fields: ObjectSelector | undefined;
}

export function selectionOf(call: Call): Selection {
  const { query } = call.info;
  const { served } = call.resource;
  return {
    key: call.target.name === '' ? undefined : keyOfCall(call),
    labels: parseLabelSelector(query.get('labelSelector') ?? ''),
    fields: fieldSelectorOf(query.get('fieldSelector') ?? '', served, call.kernel.library),
  };
}

/** `/group/plural/` or, of one namespace, `/group/plural/namespace/`. */
export function prefixOf({ resource, target }: Call): string {
  const { collection } = resource;
  return target.namespace === '' ? collection : `${collection}${target.namespace}/`;
}

/** As `prefixOf`, longer where only one name is wanted: it need not be looked for. */
export function narrowPrefix(call: Call): string {
  const { served } = call.resource;
  const { query } = call.info;
  const prefix = prefixOf(call);
  const selected = /^metadata\.name==?([^,=!\\]+)$/.exec(query.get('fieldSelector') ?? '');
  if (selected === null || (served.namespaced && call.target.namespace === '')) return prefix;
  return served.namespaced ? `${prefix}${selected[1]}` : `${prefix}/${selected[1]}`;
}

interface Page {
  readonly entries: readonly Entry[];
  readonly version: number;
  readonly next: string | undefined;
  readonly remaining: number | undefined;
}

export async function listObjects(call: Call): Promise<KubeResponse> {
  const form = negotiate(call.info.request.headers['accept'], ['object', 'table', 'partial']);
  const page = await readPage(call);
  const body = streamList(call, page, form);
  if (!form.yaml) return streamResponse(body);
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  const text = yamlText(Buffer.concat(parts).toString('utf8'));
  return jsonResponse(200, text, { 'content-type': 'application/yaml' });
}

/** Of JSON, with keys in order and lists not indented, as Kubernetes writes it. */
function yamlText(json: string): string {
  return stringify(parseObject(json), { sortMapEntries: true, indentSeq: false, lineWidth: 0 });
}

async function readPage(call: Call): Promise<Page> {
  const { store, clock } = call.kernel;
  const { query } = call.info;
  const limit = countParameter(query, 'limit') ?? 0;
  const place = placeOf(call, limit);
  const selection = selectionOf(call);
  // A copy of references at one moment: what follows may take its time.
  const candidates = [...store.list({ prefix: narrowPrefix(call), ...place })];
  const selects = selection.labels !== undefined || selection.fields !== undefined;
  const entries: Entry[] = [];
  let seen = 0;
  for (const entry of candidates) {
    if (limit > 0 && entries.length === limit) break;
    seen += 1;
    if (selection.fields !== undefined && seen % parsedPerTurn === 0) await breathe(clock);
    if (isSelected(call, selection, entry)) entries.push(entry);
  }
  const last = entries.at(-1);
  const isMore = seen < candidates.length && last !== undefined;
  return {
    entries,
    version: place.version,
    next: isMore ? formatContinue(place.version, last.key, prefixOf(call)) : undefined,
    remaining: isMore && !selects ? candidates.length - seen : undefined,
  };
}

export function isSelected(call: Call, selection: Selection, entry: Entry): boolean {
  if (selection.key !== undefined && selection.key !== entry.key) return false;
  if (selection.labels !== undefined && !selection.labels(entry.labels)) return false;
  if (selection.fields === undefined) return true;
  return selection.fields(entry.key, () => objectOf(call.kernel.store, call.resource, entry));
}

/** Where a list begins, and at which version: from the continue token or the parameters. */
function placeOf(call: Call, limit: number): { readonly version: number; readonly from?: string } {
  const { store } = call.kernel;
  const { query } = call.info;
  const token = query.get('continue') ?? '';
  const asked = query.get('resourceVersion') ?? '';
  const match = query.get('resourceVersionMatch') ?? '';
  if (token !== '') {
    if (asked !== '' && asked !== '0') {
      throw badRequest('specifying resource version is not allowed when using continue');
    }
    return continuedPlace(call, token);
  }
  if (match !== '' && asked === '') {
    const why = 'resourceVersionMatch is forbidden unless resourceVersion is provided';
    throw invalidOptions('ListOptions', [forbiddenValue('resourceVersionMatch', why)]);
  }
  if (!['', 'Exact', 'NotOlderThan'].includes(match)) {
    const reason = 'FieldValueNotSupported';
    const message = `Unsupported value: "${match}": supported values: "Exact", "NotOlderThan", ""`;
    throw invalidOptions('ListOptions', [{ reason, field: 'resourceVersionMatch', message }]);
  }
  const version = versionParameter(asked);
  if (version > store.version) throw tooLargeVersion(version, store.version);
  const isExact = match === 'Exact' || (match === '' && limit > 0 && version > 0);
  if (!isExact) return { version: store.version };
  if (version === 0) throw badRequest('resourceVersionMatch "Exact" is forbidden for version "0"');
  return { version };
}

export function versionParameter(text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,15}$/.test(text)) {
    throw plainFailure(`resourceVersion: Invalid value: "${text}": ${unparsable(text)}`);
  }
  return Number(text);
}

/** -1: at whatever version is newest, as a token that replaces an expired one says. */
const anyVersion = -1;

function formatContinue(version: number, lastKey: string, prefix: string): string {
  const start = `${lastKey.slice(prefix.length)}\u0000`;
  const token = { v: 'meta.k8s.io/v1', rv: version, start };
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function continuedPlace(
  call: Call,
  token: string,
): { readonly version: number; readonly from: string } {
  const { store } = call.kernel;
  const { start, version } = parseContinue(token);
  const prefix = prefixOf(call);
  const from = prefix + start;
  if (version === anyVersion) return { version: store.version, from };
  if (version > store.version) throw tooLargeVersion(version, store.version);
  if (version >= store.oldestOf(prefix)) return { version, from };
  throw failure({
    code: 410,
    reason: 'Expired',
    message:
      'The provided continue parameter is too old to display a consistent list result. You can ' +
      'start a new list without the continue parameter, or use the continue token in this ' +
      'response to retrieve the remainder of the results. Continuing with the provided token ' +
      'results in an inconsistent list - objects that were created, modified, or deleted ' +
      'between the time the first chunk was returned and now may show up in the list.',
    continueAt: formatContinue(anyVersion, from.slice(0, -1), prefix),
  });
}

function parseContinue(token: string): { readonly version: number; readonly start: string } {
  const bad = badRequest('continue key is not valid: it was not made by this server');
  try {
    const parsed = parseObject(Buffer.from(token, 'base64url').toString('utf8'));
    const version = parsed?.['rv'];
    const start = parsed?.['start'];
    if (parsed?.['v'] !== 'meta.k8s.io/v1') throw bad;
    if (typeof version !== 'number' || typeof start !== 'string') throw bad;
    return { version, start };
  } catch {
    throw bad;
  }
}

/** The whole list as text, chunk by chunk, so that it is never whole in memory. */
async function* streamList(
  call: Call,
  page: Page,
  form: Negotiated,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { clock } = call.kernel;
  const writer = listWriter(call, page, form);
  let pending = [writer.head];
  let size = writer.head.length;
  let count = 0;
  for (const entry of page.entries) {
    const text = writer.item(entry);
    pending.push(count === 0 ? text : `,${text}`);
    count += 1;
    size += text.length;
    const isTurn = writer.parses && count % parsedPerTurn === 0;
    if (size < chunkCharsMax && !isTurn) continue;
    yield encode(pending.join(''));
    pending = [];
    size = 0;
    await breathe(clock);
  }
  pending.push(']}');
  yield encode(pending.join(''));
}

interface ListWriter {
  /** Up to and with the bracket of the items. */
  readonly head: string;
  /** Each item costs parsing it. */
  readonly parses: boolean;
  item(entry: Entry): string;
}

function listWriter(call: Call, page: Page, form: Negotiated): ListWriter {
  const { kernel, resource, info } = call;
  const metadata = {
    resourceVersion: String(page.version),
    ...(page.next === undefined ? {} : { continue: page.next }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
  const head = (object: JsonObject, items: string): string =>
    `${JSON.stringify({ ...object, metadata }).slice(0, -1)},"${items}":[`;
  const read = (entry: Entry): JsonObject => objectOf(kernel.store, resource, entry);
  const metaVersion = `meta.k8s.io/${form.version}`;
  if (form.form === 'table') {
    const maker = makeTable(resource.served, includeOf(info.query), kernel.library);
    const nowMs = kernel.clock.wallMs();
    const columnDefinitions = maker.columns;
    return {
      head: head({ kind: 'Table', apiVersion: metaVersion, columnDefinitions }, 'rows'),
      parses: true,
      item: (entry) => JSON.stringify(maker.row(read(entry), nowMs)),
    };
  }
  if (form.form === 'partial') {
    return {
      head: head({ kind: 'PartialObjectMetadataList', apiVersion: metaVersion }, 'items'),
      parses: true,
      item: (entry) => JSON.stringify(partial(read(entry), form.version)),
    };
  }
  const { served } = resource;
  const typeMeta = `"apiVersion":"${apiVersionText(served)}","kind":"${served.kind}",`;
  return {
    head: head({ kind: served.listKind, apiVersion: apiVersionText(served) }, 'items'),
    parses: false,
    item: (entry) => {
      const text = textOf(kernel.store, resource, entry);
      // Items of built-in lists do not say what they are.
      const isTyped = served.builtIn && text.startsWith(typeMeta, 1);
      return isTyped ? `{${text.slice(1 + typeMeta.length)}` : text;
    },
  };
}
