/**
 * Tables as the server makes them (`meta.k8s.io/v1` Table), so that every kind has the columns its
 * CRD declares, here and in kubectl.
 */
import { fail, TransshipError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import { exchange, send } from '../../kube/exchange.ts';
import { createLineReader } from '../../kube/lines.ts';
import { apiVersionOf, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import { collectionPath, queryText, resourceText } from '../../kube/paths.ts';
import { errorOfAnswer, isExpired } from '../../kube/status-errors.ts';
import { sleep } from '../../base/sleep.ts';
import { type Column, renderTable, RunningTable } from '../table.ts';

export interface Asking {
  readonly type: ResourceType;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly labels: string | undefined;
  readonly fields: string | undefined;
}

interface ColumnDefinition {
  readonly name: string;
  readonly priority: number;
}

interface TableObject {
  readonly columnDefinitions?: readonly ColumnDefinition[] | null;
  readonly rows?: readonly Row[] | null;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

interface Row {
  readonly cells: readonly unknown[];
  readonly object: KubeObject;
}

const asTable = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
/** A person does not read more; programs ask for JSON, which has all. */
const rowsMax = 5000;
const tableBytesMax = 64 * 1024 * 1024;
/** One connection of a watch; the next follows by itself. */
const watchSeconds = 300;
/** After a watch that broke. */
const retryMs = 1000;

function asked(client: KubeClient, asking: Asking, verb: string) {
  const { type, namespace = '', name = '' } = asking;
  return { cluster: client.cluster, verb, resource: resourceText(type), name, namespace };
}

function selectors(asking: Asking): Readonly<Record<string, string | undefined>> {
  const byName = asking.name === undefined ? undefined : `metadata.name=${asking.name}`;
  const fields = [byName, asking.fields].filter((one) => one !== undefined).join(',');
  return { labelSelector: asking.labels, fieldSelector: fields };
}

async function readTable(client: KubeClient, asking: Asking): Promise<TableObject> {
  const query = queryText({ ...selectors(asking), limit: rowsMax });
  const answer = await exchange(client.connection, {
    asked: asked(client, asking, 'list'),
    method: 'GET',
    path: `${collectionPath(asking.type, asking.namespace)}${query}`,
    headers: { accept: asTable },
    bytesMax: tableBytesMax,
  });
  const table = JSON.parse(answer.text) as TableObject & { readonly kind?: string };
  if (table.kind !== 'Table') fail('ProtocolError', `cluster ${client.cluster} sends no tables`);
  return table;
}

interface Shape {
  readonly asking: Asking;
  readonly wide: boolean;
}

/** Text of a table; undefined when it has no rows. `NotFound` for a name that is not there. */
export async function tableText(
  client: KubeClient,
  shape: Shape,
): Promise<{ readonly text: string | undefined; readonly table: TableObject }> {
  const { asking } = shape;
  const table = await readTable(client, asking);
  const rows = table.rows ?? [];
  if (rows.length === 0 && asking.name !== undefined) {
    fail('NotFound', `cluster ${client.cluster} has no ${asking.type.kind} ${asking.name}`);
  }
  const text = rows.length === 0 ? undefined : renderTable(columnsOf(table, shape), rows, shape);
  return { text, table };
}

function columnsOf(table: TableObject, { asking }: Shape): readonly Column<Row>[] {
  const all = (table.columnDefinitions ?? []).map((definition, index): Column<Row> => {
    const header = definition.name.toUpperCase().replaceAll(' ', '-');
    return { header, wide: definition.priority > 0, value: (row) => textOf(row.cells[index]) };
  });
  if (!asking.type.namespaced || asking.namespace !== undefined) return all;
  return [{ header: 'NAMESPACE', value: ({ object }) => object.metadata.namespace }, ...all];
}

function textOf(cell: unknown): string | undefined {
  return cell === undefined || cell === null ? undefined : String(cell);
}

interface TableEvent {
  readonly type: string;
  readonly object: TableObject & { readonly message?: string };
}

/** A row whenever an object changes, until the signal. What is there first is printed first. */
export async function watchTable(
  client: KubeClient,
  shape: Shape,
  print: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const running = new RunningTable<Row>();
  const seen = new Map<string, string>();
  let columns: readonly Column<Row>[] = [];
  const visible = (all: readonly Column<Row>[]) =>
    all.filter(({ wide }) => shape.wide || wide !== true);
  const show = (table: TableObject): void => {
    // Servers send the columns with the first event only.
    if ((table.columnDefinitions?.length ?? 0) > 0) columns = columnsOf(table, shape);
    const rows = (table.rows ?? []).filter((row) => isNews(seen, visible(columns), row));
    if (rows.length > 0) print(running.add(columns, rows, shape.wide));
  };
  const { table } = await tableText(client, shape);
  show(table);
  let version = table.metadata?.resourceVersion ?? '';
  while (!signal.aborted) {
    try {
      version = await watchOnce(client, { ...shape, version, signal }, show);
    } catch (error) {
      version = await afterTrouble(client, shape, { error, version, signal, show });
    }
  }
}

/** A change that no column shows is no row, and neither is time going by. */
function isNews(seen: Map<string, string>, columns: readonly Column<Row>[], row: Row): boolean {
  const { uid = '' } = row.object.metadata;
  const told = columns.filter(({ header }) => header !== 'AGE').map((one) => one.value(row));
  const text = JSON.stringify(told);
  if (seen.get(uid) === text) return false;
  seen.set(uid, text);
  return true;
}

/** A cut connection goes on where it was; a version that is too old means a new list. */
async function afterTrouble(
  client: KubeClient,
  shape: Shape,
  trouble: {
    readonly error: unknown;
    readonly version: string;
    readonly signal: AbortSignal;
    readonly show: (table: TableObject) => void;
  },
): Promise<string> {
  const { error, version, signal } = trouble;
  if (signal.aborted) return version;
  if (isExpired(error)) {
    const { table } = await tableText(client, shape);
    trouble.show(table);
    return table.metadata?.resourceVersion ?? '';
  }
  if (!(error instanceof TransshipError) || !error.retryable) throw error;
  await sleep(client.connection.clock, retryMs, signal);
  return version;
}

interface Watching extends Shape {
  readonly version: string;
  readonly signal: AbortSignal;
}

/** Resolves with the version to go on at. A version that is too old is the caller's error. */
async function watchOnce(
  client: KubeClient,
  watching: Watching,
  show: (table: TableObject) => void,
): Promise<string> {
  const { asking, signal } = watching;
  const query = queryText({
    ...selectors(asking),
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: watching.version,
    timeoutSeconds: watchSeconds,
  });
  const path = `${collectionPath(asking.type, asking.namespace)}${query}`;
  const what = asked(client, asking, 'watch');
  const headers = { accept: asTable };
  const response = await send(
    client.connection,
    { asked: what, method: 'GET', path, headers },
    signal,
  );
  if (response.status !== 200) throw errorOfAnswer(what, response, '');
  const reader = createLineReader();
  let { version } = watching;
  for await (const piece of response.body) {
    for (const line of reader.push(piece)) {
      const event = JSON.parse(line) as TableEvent;
      if (event.type === 'ERROR') fail('Conflict', event.object.message ?? 'the watch ended');
      const seen = event.object.rows?.[0]?.object.metadata.resourceVersion;
      version = seen ?? event.object.metadata?.resourceVersion ?? version;
      if (event.type !== 'BOOKMARK') show(event.object);
    }
  }
  return version;
}

/** The objects themselves, for programs. */
export async function listObject(client: KubeClient, asking: Asking): Promise<object> {
  const items: KubeObject[] = [];
  const { namespace, labels } = asking;
  const fields = selectors(asking)['fieldSelector'];
  const chosen = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(fields === undefined || fields === '' ? {} : { fields }),
  };
  for await (const item of client.list(asking.type, chosen)) items.push(item);
  const { kind } = asking.type;
  if (asking.name === undefined) {
    return { apiVersion: apiVersionOf(asking.type), kind: `${kind}List`, items };
  }
  return items[0] ?? fail('NotFound', `cluster ${client.cluster} has no ${kind} ${asking.name}`);
}
