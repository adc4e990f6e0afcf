/** A shop's SQLite database: what writes it, checks it and edits it; each runs as a process. */
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Acknowledged, Found } from './application.ts';
import { inputEnded } from './part-input.ts';
import { sha256 } from './tree.ts';

const schema = `
  pragma journal_mode = wal;
  create table if not exists orders (
    id integer primary key, made_ms integer not null, item integer not null,
    quantity integer not null, edited integer not null, sum text not null
  );
  create table if not exists stock (item integer primary key, sold integer not null);
`;
const items = 40;

interface Row {
  readonly id: number;
  readonly made_ms: number;
  readonly item: number;
  readonly quantity: number;
  readonly edited: number;
  readonly sum: string;
}

function sumOf(row: Omit<Row, 'sum'>): string {
  return sha256(Buffer.from([row.id, row.made_ms, row.item, row.quantity, row.edited].join('|')));
}

function openShop(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(schema);
  // Each commit waits until the volume has it: that is what an acknowledgement means.
  database.exec('pragma synchronous = extra');
  return database;
}

/** An order and the stock it changes, in one transaction. */
function sell(database: DatabaseSync, row: Omit<Row, 'sum'>): void {
  const { id, made_ms: madeMs, item, quantity, edited } = row;
  database.exec('begin immediate');
  database
    .prepare('insert into orders values (?, ?, ?, ?, ?, ?)')
    .run(id, madeMs, item, quantity, edited, sumOf(row));
  database
    .prepare(
      'insert into stock values (?, ?) on conflict do update set sold = sold + excluded.sold',
    )
    .run(item, quantity);
  database.exec('commit');
}

function nextId(database: DatabaseSync): number {
  const { last } = database.prepare('select coalesce(max(id), 0) as last from orders').get() as {
    readonly last: number;
  };
  return last + 1;
}

/** Sells until its input ends. */
export async function* writeShop(request: {
  readonly database: string;
  readonly paceMs: number;
}): AsyncGenerator<Acknowledged> {
  const ended = inputEnded();
  const database = openShop(request.database);
  for (let id = nextId(database); !ended.now; id++) {
    const beganMs = Date.now();
    sell(database, { id, made_ms: beganMs, item: id % items, quantity: 1 + (id % 7), edited: 0 });
    yield { sequence: id, beganMs, ackedMs: Date.now() };
    await sleep(request.paceMs);
  }
  database.close();
}

/** Every row against its checksum, the rows against each other, and SQLite's own check. */
export async function* checkShop(request: { readonly database: string }): AsyncGenerator<Found> {
  const database = openShop(request.database);
  const problems: string[] = [];
  const [integrity] = database.prepare('pragma integrity_check').all();
  const said = String(Object.values(integrity ?? {})[0]);
  if (said !== 'ok') problems.push(`integrity_check says: ${said}`);
  const rows = database.prepare('select * from orders order by id').all() as unknown as Row[];
  for (const [index, row] of rows.entries()) {
    if (row.id !== index + 1) problems.push(`order ${index + 1} is missing`);
    if (row.sum !== sumOf(row)) problems.push(`the checksum of order ${row.id} is wrong`);
    if (problems.length > 5) break;
  }
  const { sold } = database.prepare('select total(sold) as sold from stock').get() as {
    readonly sold: number;
  };
  const ordered = rows.reduce((sum, row) => sum + row.quantity, 0);
  if (sold !== ordered) problems.push(`stock says ${sold} were sold, the orders say ${ordered}`);
  database.close();
  yield {
    records: rows.length,
    edits: rows.filter(({ edited }) => edited === 1).length,
    lastMadeMs: rows.at(-1)?.made_ms ?? 0,
    problems,
  };
}

export async function* editShop(request: {
  readonly database: string;
  readonly edits: number;
}): AsyncGenerator<never> {
  const database = openShop(request.database);
  const first = nextId(database);
  for (let id = first; id < first + request.edits; id++) {
    sell(database, { id, made_ms: Date.now(), item: id % items, quantity: 1, edited: 1 });
  }
  database.close();
  yield* [];
}
