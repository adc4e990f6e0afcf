import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TeleportObject, VolumeObject } from '../api/objects.ts';
import { listOf } from '../api/objects.ts';
import { fakeNowMs, teleportObject, volumeObject } from './fake-ports.ts';
import { render } from './output.ts';
import { renderTable } from './table.ts';

test('a table of volumes fits 80 columns, and wide has everything', async () => {
  const list = listOf<VolumeObject>('Volume', [volumeObject('orders-database-1')]);
  const table = await render(list, 'table', fakeNowMs);
  assert.equal(
    table,
    'NAME                SIZE    USED     PHASE        MISSING   HISTORY    AGE\n' +
      'orders-database-1   100Gi   63.4Gi   Accessible   20Gi      one-hour   5m\n',
  );
  for (const line of table.split('\n')) assert.ok(line.length <= 80);
  const wide = await render(list, 'wide', fakeNowMs);
  assert.match(wide, /SOURCE {4}ATTACHED {3}LEASEDBY {3}TROUBLE {13}ROOT/);
  assert.match(wide, /east\/db {3}<none> {5}west\/db {4}SourceUnreachable {3}abcdef012345/);
});

test('a table of teleports fits 80 columns', async () => {
  const list = listOf<TeleportObject>('Teleport', [teleportObject('orders-a1b2c3')]);
  const table = await render(list, 'table', fakeNowMs);
  assert.equal(
    table,
    'NAME            FROM          PHASE        PROGRESS   RATE         ETA   AGE\n' +
      'orders-a1b2c3   east/orders   Accessible   55%        105.0MiB/s   44s   5m\n',
  );
});

test('names, JSON and YAML', async () => {
  const volume = volumeObject('db');
  assert.equal(await render(volume, 'name', fakeNowMs), 'volume/db\n');
  assert.deepEqual(JSON.parse(await render(volume, 'json', fakeNowMs)), volume);
  assert.match(await render(volume, 'yaml', fakeNowMs), /^kind: Volume\napiVersion: transship.dev/);
});

test('what a peer sent cannot break the table or the terminal', () => {
  const columns = [{ header: 'NAME', value: (row: string) => row }];
  const text = renderTable(columns, ['a\u001b[2J\nb', '', '\u202eevil'], { wide: false });
  assert.equal(text, 'NAME\na?[2J?b\n<none>\n?evil\n');
});
