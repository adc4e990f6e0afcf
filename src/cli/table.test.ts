import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JobObject, listOf } from '../api/objects.ts';
import { fakeNowMs, jobObject, volumeObject } from './fake-ports.ts';
import { render } from './output.ts';
import { renderTable } from './table.ts';

test('a table of jobs fits 80 columns, and wide has more', async () => {
  const list = listOf<JobObject>('Job', [jobObject('import-1')]);
  const table = await render(list, 'table', fakeNowMs);
  assert.equal(
    table,
    'NAME       TYPE     TARGET   PHASE     PROGRESS   REASON   AGE\n' +
      'import-1   Import   db       Running   50%        <none>   5m\n',
  );
  assert.match(await render(list, 'wide', fakeNowMs), /REASON {3}DONE {6}AGE\n.*1\.0 MiB/);
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
