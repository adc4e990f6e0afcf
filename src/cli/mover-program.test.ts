import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeWorld } from './fake-ports.ts';
import { runMovers } from './mover-program.ts';
import { runCli } from './program.ts';

const lines = [
  'mover',
  'mover --help',
  'mover client --help',
  'mover client',
  'mover client --config',
  'mover block-send --help',
  'mover block-receive --destination d --listen nowhere --certificates c',
  'mover block-send --source s --to h:1 --certificates c --block-size 5Ki',
  'mover bogus',
  'mover server --config c -o xml',
];

test('the movers alone say and answer what the whole program does', async () => {
  for (const line of lines) {
    const said = [];
    for (const run of [runCli, runMovers]) {
      const { ports, terminal } = createFakeWorld({});
      const code = await run(line.split(' '), ports);
      said.push({ code, ...terminal.written });
    }
    assert.deepEqual(said[1], said[0], line);
  }
});
