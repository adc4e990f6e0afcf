import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { openEditor } from './editor.ts';

const draft = { name: 'plan-shop.yaml', text: 'spec: {}\n' };

test('the editor may have arguments, and VISUAL comes first', async () => {
  const environment = { VISUAL: "sed -i -e 's/{}/[1, 2]/'", EDITOR: 'false' };
  const { text, path, discard } = await openEditor(draft, environment);
  assert.equal(text, 'spec: [1, 2]\n');
  assert.ok(path.endsWith('/plan-shop.yaml'));
  assert.equal(fs.statSync(path).mode & 0o077, 0);
  await discard();
  assert.ok(!fs.existsSync(dirname(path)));
});

test('an editor that fails leaves what was written, and one that is missing nothing', async () => {
  const failing = openEditor(draft, { EDITOR: 'sh -c \'echo more >> "$1"; exit 3\' sh' });
  let message = '';
  await assert.rejects(failing, (error: Error & { reason?: string }) => {
    message = error.message;
    return error.reason === 'Canceled';
  });
  const path = message.slice(message.lastIndexOf(' ') + 1);
  assert.equal(fs.readFileSync(path, 'utf8'), 'spec: {}\nmore\n');
  fs.rmSync(dirname(path), { recursive: true });
  await assert.rejects(openEditor(draft, { EDITOR: 'no-such-editor' }), { reason: 'ToolMissing' });
});
