/**
 * Objects of API servers, as people and programs want them: tables are those of the server, JSON
 * and YAML what `kubectl get -o` gives, a single object its columns as lines, then its conditions.
 */
import { fail } from '../../base/errors.ts';
import { printable } from '../../base/names.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createInformer } from '../../kube/informer.ts';
import { keyText, type KubeObject, type ObjectKey, type ResourceType } from '../../kube/objects.ts';
import { since } from '../columns.ts';
import type { Cli } from '../context.ts';
import { nameOf } from '../output.ts';
import { type Column, renderFields, renderTable } from '../table.ts';
import { type Asking, listObject, tableText, watchTable } from './tables.ts';
import type { WithConditions } from './waiting.ts';

/** All objects of a type, or one: what most commands ask for. */
export function asking(
  type: ResourceType,
  chosen: { readonly namespace?: string; readonly name?: string } = {},
): Asking {
  const { namespace, name } = chosen;
  return { type, namespace, name, labels: undefined, fields: undefined };
}

export interface Listing {
  /** A sentence for people, where a table would be empty. */
  readonly whenEmpty: string;
  /** Goes on until Ctrl-C. */
  readonly watch?: boolean | undefined;
}

export async function printListed(
  cli: Cli,
  client: KubeClient,
  what: Asking,
  listing: Listing,
): Promise<void> {
  const format = cli.options.output ?? 'table';
  const wide = format === 'wide';
  const isTable = wide || format === 'table';
  if (listing.watch === true) {
    const watching = { goesOn: 'nothing was changed.' };
    const print = (text: string): void => cli.out(text);
    return cli.watching(watching, async (signal) => {
      if (isTable) await watchTable(client, { asking: what, wide }, print, signal);
      else await printChanges(cli, client, what, signal);
      signal.throwIfAborted();
    });
  }
  if (!isTable) return cli.printAny(await listObject(client, what));
  const { text } = await tableText(client, { asking: what, wide });
  if (text === undefined) cli.note(listing.whenEmpty);
  else cli.out(text);
  return undefined;
}

/** Every object whenever it changes, one after the other, until the signal. */
async function printChanges(
  cli: Cli,
  client: KubeClient,
  what: Asking,
  signal: AbortSignal,
): Promise<void> {
  const { type, namespace, name, labels } = what;
  const fields = [name === undefined ? '' : `metadata.name=${name}`, what.fields ?? '']
    .filter((one) => one !== '')
    .join(',');
  const selectors = {
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(fields === '' ? {} : { fields }),
  };
  const informer = createInformer(client, type, { selectors });
  let printing = Promise.resolve();
  informer.onChange(({ now }) => {
    if (now !== undefined) printing = printing.then(() => cli.printAny(now));
  });
  try {
    await new Promise((_, reject) => {
      const end = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', end, { once: true });
    });
  } finally {
    await informer.stop();
    await printing;
  }
}

export type Field = readonly [label: string, value: string | undefined];

/** One object: its fields for people, the object itself for programs. */
export async function printObject<T extends KubeObject>(
  cli: Cli,
  client: KubeClient,
  place: { readonly type: ResourceType<T>; readonly key: ObjectKey },
  fieldsOf: (object: T) => readonly Field[] = () => [],
): Promise<T> {
  const object = await needObject(client, place.type, place.key);
  if (cli.options.output === undefined) {
    const what = asking(place.type, { ...namespaceOf(place.key), name: place.key.name });
    const { table } = await tableText(client, { asking: what, wide: true });
    const cells = table.rows?.[0]?.cells ?? [];
    const columns = (table.columnDefinitions ?? []).map(({ name }, index): Field => {
      const cell = cells[index];
      const value = cell === undefined || cell === null ? undefined : String(cell);
      return [labelOf(name), value];
    });
    const created = object.metadata.creationTimestamp;
    const fields = [
      ...columns.filter(([label]) => label !== 'Age'),
      ...fieldsOf(object),
      ['Created', since(created, cli.nowMs())] as const,
    ];
    cli.out(renderFields(fields) + conditionsText(object));
  } else await printShaped(cli, client, place.type, object);
  return object;
}

function namespaceOf({ namespace }: ObjectKey): { readonly namespace?: string } {
  return namespace === '' ? {} : { namespace };
}

/** In the format that was asked for. */
async function printShaped(
  cli: Cli,
  client: KubeClient,
  type: ResourceType,
  object: KubeObject,
): Promise<void> {
  const format = cli.options.output;
  if (format !== 'table' && format !== 'wide') return cli.printAny(object);
  const { namespace, name = '' } = object.metadata;
  const what = asking(type, { ...(namespace === undefined ? {} : { namespace }), name });
  return printListed(cli, client, what, { whenEmpty: `${nameOf(object)} is gone.` });
}

/** "volume/db created", or the object when a format was asked for. */
export async function printChanged(
  cli: Cli,
  client: KubeClient,
  what: { readonly type: ResourceType; readonly object: KubeObject },
  verb: string,
): Promise<void> {
  if (cli.options.output === undefined) cli.out(`${nameOf(what.object)} ${verb}\n`);
  else await printShaped(cli, client, what.type, what.object);
}

/** The same for what is not there any more: of tables, only its name is left. */
export async function printGone(cli: Cli, object: KubeObject, verb: string): Promise<void> {
  const format = cli.options.output;
  if (format === 'json' || format === 'yaml' || format === 'name') await cli.printAny(object);
  else cli.out(`${nameOf(object)} ${verb}\n`);
}

/** `NotFound` names the cluster. */
export async function needObject<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  key: ObjectKey,
): Promise<T> {
  const object = await client.get(type, key);
  if (object !== undefined) return object;
  const kind = type.group === 'transship.dev' ? type.kind.toLowerCase() : type.kind;
  const what = `${kind} ${printable(keyText(key))}`;
  return fail('NotFound', `cluster ${client.cluster} has no ${what}`);
}

function labelOf(header: string): string {
  return header.charAt(0).toUpperCase() + header.slice(1).toLowerCase();
}

type ConditionRow = NonNullable<NonNullable<WithConditions['status']>['conditions']>[number];

const conditionColumns: readonly Column<ConditionRow>[] = [
  { header: '  CONDITION', value: ({ type }) => `  ${type}` },
  { header: 'STATUS', value: ({ status }) => status },
  { header: 'REASON', value: ({ reason }) => reason },
  { header: 'MESSAGE', value: ({ message }) => message },
];

function conditionsText(object: KubeObject): string {
  const conditions = (object as WithConditions).status?.conditions ?? [];
  if (conditions.length === 0) return '';
  return `Conditions:\n${renderTable(conditionColumns, conditions, { wide: false })}`;
}
