// `plan edit` in an editor: what the person wrote is never lost, whoever else writes.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { resources } from '../../src/api/kinds/resources.ts';
import { createFakeTerminal } from '../../src/cli/fake-ports.ts';
import type { CliPorts } from '../../src/cli/ports.ts';
import { startWorld, type World } from './world.ts';

const { plans } = resources;
const key = { namespace: 'default', name: 'move' };
const words = 'plan edit move --cluster west';

async function withPlan(): Promise<World> {
  const world = await startWorld(['east', 'west']);
  await world.client('west').create(plans, {
    metadata: key,
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }], quiesce: true },
  });
  return world;
}

/** Each visit to the editor is one change of the text that it shows. */
function editor(visits: readonly ((text: string) => string | Promise<string>)[]) {
  const shown: string[] = [];
  const kept = new Set<string>();
  const openEditor: CliPorts['openEditor'] = async ({ text, name }) => {
    const visit = visits[shown.length];
    assert.ok(visit !== undefined, `the editor was opened once more with ${text}`);
    const path = `/tmp/${shown.length}/${name}`;
    shown.push(text);
    kept.add(path);
    return { text: await visit(text), path, discard: async () => void kept.delete(path) };
  };
  return { ports: { openEditor }, shown, kept, terminal: createFakeTerminal(true) };
}

const noQuiesce = (text: string): string => text.replace('quiesce: true', 'quiesce: false');

suite('plan edit in an editor', () => {
  test('applies what was written; the same text changes nothing', async () => {
    await using world = await withPlan();
    const one = editor([noQuiesce]);
    const { code, out, err } = await world.run(words, one);
    assert.equal(code, 0, err);
    assert.equal(out, 'plan/move changed\n');
    assert.equal((await world.client('west').get(plans, key))!.spec.quiesce, false);
    assert.equal(one.kept.size, 0);
    const same = editor([(text) => text]);
    assert.equal((await world.run(words, same)).out, 'plan/move unchanged\n');
  });

  test('needs a terminal', async () => {
    await using world = await withPlan();
    const { code, err } = await world.run(words);
    assert.equal(code, 2);
    assert.match(err, /no terminal for an editor/);
  });

  test('a mistake is shown above what was written; who gives up finds it in its file', async () => {
    await using world = await withPlan();
    const twice = editor([
      (text) => text.replace('name: shop', 'name: Not A Name'),
      (text) => text.replace('name: Not A Name', 'name: crm'),
    ]);
    const good = await world.run(words, twice);
    assert.equal(good.code, 0, good.err);
    assert.match(twice.shown[1]!, /^(#\| .*\n)+/);
    assert.match(twice.shown[1]!, /#\| Not accepted: [^]*\nspec:[^]*name: Not A Name/);
    assert.deepEqual((await world.client('west').get(plans, key))!.spec.namespaces, [
      { name: 'crm' },
    ]);
    const broken = editor([(text) => `${text}  : [`, (text) => text]);
    const left = await world.run(words, broken);
    assert.equal(left.code, 130, left.err);
    assert.match(left.err, /what you wrote is in \/tmp\/1\/plan-move\.yaml/);
    assert.deepEqual([...broken.kept], ['/tmp/1/plan-move.yaml']);
  });

  test('what others change meanwhile is kept, and shown where both changed the same', async () => {
    await using world = await withPlan();
    const west = world.client('west');
    const busy = editor([
      async (text) => {
        await west.patch(plans, key, { spec: { bandwidth: '7Mi', concurrency: 2 } });
        return noQuiesce(text).replace('concurrency: 4', 'concurrency: 9');
      },
      (text) => text,
    ]);
    const { code, out, err } = await world.run(words, busy);
    assert.equal(code, 0, err);
    assert.equal(out, 'plan/move changed\n');
    assert.match(busy.shown[1]!, /#\| You both changed concurrency; [^]*#\| concurrency: 2\n/);
    const { spec } = (await west.get(plans, key))!;
    assert.deepEqual([spec.quiesce, spec.bandwidth, spec.concurrency], [false, '7Mi', 9]);
    assert.equal(busy.kept.size, 0);
  });

  test('a plan that is deleted meanwhile leaves the file', async () => {
    await using world = await withPlan();
    const late = editor([
      async (text) => {
        await world.client('west').delete(plans, key);
        return noQuiesce(text);
      },
    ]);
    const { code, err } = await world.run(words, late);
    assert.notEqual(code, 0);
    assert.match(err, /what you wrote is in \/tmp\/0\/plan-move\.yaml/);
    assert.equal(late.kept.size, 1);
  });
});
