// A checker that finds nothing wrong in damaged data would make the demo's claims worthless.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { suite, test, type TestContext } from 'node:test';
import type { Found } from './application.ts';
import { checkShop, editShop } from './shop.ts';

async function checked(database: string): Promise<Found> {
  for await (const found of checkShop({ database })) return found;
  throw new Error('nothing was found');
}

async function shopOf(t: TestContext, orders: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'transship-shop-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const database = join(folder, 'shop.sqlite');
  for await (const _ of editShop({ database, edits: orders })) assert.fail('it says nothing');
  return database;
}

function change(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

suite('the check of the shop', () => {
  test('counts orders and finds nothing wrong in good ones', async (t) => {
    const found = await checked(await shopOf(t, 30));
    assert.deepEqual([found.records, found.edits, found.problems], [30, 30, []]);
    assert.ok(found.lastMadeMs > 0);
  });

  const damages: readonly (readonly [name: string, sql: string, problem: RegExp])[] = [
    ['a changed order', 'update orders set quantity = 5 where id = 7', /checksum of order 7/],
    ['a lost order', 'delete from orders where id = 9', /order 9 is missing/],
    ['a torn transaction', 'update stock set sold = sold + 1 where item = 3', /stock says/],
  ];
  for (const [name, sql, problem] of damages) {
    test(`finds ${name}`, async (t) => {
      const database = await shopOf(t, 30);
      change(database, sql);
      const { problems } = await checked(database);
      assert.match(problems.join('\n'), problem);
    });
  }
});
