import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createFakeTerminal } from '../../cli/fake-ports.ts';
import { DemoFailure, Narrator } from './narrator.ts';

function stage() {
  const terminal = createFakeTerminal();
  const abort = new AbortController();
  return { terminal, abort, narrator: new Narrator(terminal, 2, abort.signal) };
}

suite('the narrator', () => {
  test('prints a claim that holds, and counts it', () => {
    const { narrator } = stage();
    narrator.claim(true, 'water is wet');
    assert.equal(narrator.claims, 1);
  });

  test('ends the story where a claim does not hold', () => {
    const { narrator } = stage();
    assert.throws(() => narrator.claim(false, 'water is dry'), DemoFailure);
    assert.equal(narrator.claims, 0);
  });

  test('tells nothing once it was interrupted', () => {
    const { narrator, abort } = stage();
    abort.abort(new Error('Ctrl-C'));
    assert.throws(() => narrator.say('more'), /Ctrl-C/);
    assert.throws(() => narrator.claim(true, 'more'), /Ctrl-C/);
  });

  test('shows commands so that they can be copied', () => {
    const { narrator, terminal } = stage();
    narrator.command(['volume', 'create', "it's", '--size', '1Gi']);
    assert.match(terminal.written.out, /\$ transship volume create 'it'\\''s' --size 1Gi\n/);
  });
});
