import { before, suite, test } from 'node:test';
import { hooks, type HookSpec } from '../../src/api/kinds/hook.ts';
import { plans } from '../../src/api/kinds/plan.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { serviceAccounts } from '../../src/kube/resources.ts';
import { openWorld, type Saved, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const namespace = 'shop';

suite('hooks', () => {
  let saved: Saved;

  before(async () => {
    saved = await saveWorld(library, (world) => world.run(3_000));
  });

  async function make(world: World, name: string, spec: Partial<HookSpec>): Promise<void> {
    const whole = { target: 'Source', namespace, ...spec };
    const metadata = { namespace, name };
    await world.admin('east').create(hooks, { metadata, spec: whole } as never);
  }

  async function makePlan(world: World, names: readonly string[], more: object = {}) {
    await world.admin('east').create(plans, {
      metadata: { namespace, name: 'move' },
      spec: {
        source: 'east',
        destination: 'west',
        namespaces: [{ name: namespace, to: 'store' }],
        hooks: names.map((hook) => ({ hook, phase: 'PostRestore' })),
        ...more,
      },
    } as never);
  }

  async function says(world: World, name: string, status: string, pattern: RegExp): Promise<void> {
    const find = async () =>
      conditionOf(await world.find('east', hooks, { namespace, name }), 'Ready');
    await world.until(`hook ${name} is ${status} ${pattern}`, async () => {
      const ready = await find();
      return ready?.status === status && pattern.test(`${ready.reason}: ${ready.message}`);
    });
  }

  test('a playbook that is none is told, and one that nobody uses is ready', async () => {
    const world = await openWorld(library, saved);
    await make(world, 'words', { playbook: 'not: a list' });
    await make(world, 'broken', { playbook: '- hosts: [all' });
    await make(world, 'mixed', { playbook: '- hosts: all\n- 7\n' });
    await make(world, 'good', { playbook: '- hosts: all\n  tasks: []\n' });
    await says(world, 'words', 'False', /^Invalid: the playbook is no list/);
    await says(world, 'broken', 'False', /^Invalid: the playbook is no YAML/);
    await says(world, 'mixed', 'False', /entry 2 of the playbook is no play/);
    await says(world, 'good', 'True', /no open plan uses it/);
    await world.stop();
  });

  test('namespace and account are looked for where the plan takes the hook', async () => {
    const world = await openWorld(library, saved);
    const command = ['true'];
    await make(world, 'stray', { command, namespace: 'nowhere' });
    await make(world, 'after', {
      command,
      target: 'Destination',
      namespace: 'store',
      serviceAccount: 'deployer',
    });
    await makePlan(world, ['stray', 'after']);
    await says(world, 'stray', 'False', /^NotFound: cluster east has no namespace nowhere/);
    await says(world, 'after', 'False', /namespace store of cluster west has no ServiceAccount/);
    // It moves along.
    const account = { metadata: { namespace, name: 'deployer' } };
    await world.admin('east').create(serviceAccounts, account);
    await says(world, 'after', 'True', /it can run for move/);
    await world.admin('east').patch(plans, { namespace, name: 'move' }, { spec: { closed: true } });
    await says(world, 'stray', 'True', /no open plan uses it/);
    await world.stop();
  });

  test('a cluster that is not connected leaves the answer open', async () => {
    const world = await openWorld(library, saved);
    await make(world, 'away', { command: ['true'] });
    await makePlan(world, ['away'], { source: 'unknown' });
    await says(world, 'away', 'Unknown', /^ApiUnreachable: cluster unknown is not connected/);
    await world.stop();
  });
});
