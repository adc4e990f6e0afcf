// Two network namespaces with one cable: what happens when it is pulled and nobody says so.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Cloud, until } from '../cloud.ts';
import { digestOf, writeNoise } from '../content.ts';
import { missing, must, run } from '../tools.ts';

const mebibyte = 1024 * 1024;
const execute = promisify(execFile);
const mainPath = join(import.meta.dirname, '../../../src/main.ts');

const skip = process.getuid?.() === 0 ? missing('ip') : 'needs root';

/** A namespace of its own for west, joined to ours by a pair of virtual cards. */
async function cable(name: string): Promise<AsyncDisposable & { readonly near: string }> {
  const near = `${name}e`;
  await must('ip', 'netns', 'add', name);
  await must('ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', 'far', 'netns', name);
  await must('ip', 'address', 'add', '10.203.77.1/30', 'dev', near);
  await must('ip', 'link', 'set', near, 'up');
  const inside = ['netns', 'exec', name, 'ip'] as const;
  await must('ip', ...inside, 'address', 'add', '10.203.77.2/30', 'dev', 'far');
  await must('ip', ...inside, 'link', 'set', 'far', 'up');
  await must('ip', ...inside, 'link', 'set', 'lo', 'up');
  return {
    near,
    [Symbol.asyncDispose]: async () => {
      await run('ip', 'link', 'delete', near);
      await run('ip', 'netns', 'delete', name);
    },
  };
}

test('a pulled cable is noticed, and a plugged one used again', { skip }, async (t) => {
  const name = `ts${process.pid}`;
  if ((await run('ip', 'netns', 'add', `${name}try`)).code !== 0) {
    t.skip('the kernel has no network namespaces');
    return;
  }
  await must('ip', 'netns', 'delete', `${name}try`);
  await using wire = await cable(name);
  await using cloud = new Cloud();
  const east = await cloud.start('east', { listen: '10.203.77.1:7750' });
  // The command line in the namespace starts an agent that lives in it.
  const env = { ...process.env, TRANSSHIP_HOME: cloud.home };
  const up = [process.execPath, '--no-warnings', mainPath, 'up', 'west', '--detach'];
  const words = ['netns', 'exec', name, ...up, '--listen', '10.203.77.2:7750'];
  await execute('ip', words, { env });
  const west = cloud.adopt('west');
  await cloud.join('east', 'west');
  await east.create('db', 32 * mebibyte);
  using source = await east.connect('db');
  await writeNoise(source, 1, { offset: 0, lengthBytes: 24 * mebibyte });
  const rate = { bytesPerSecond: 4 * mebibyte };
  await west.call('teleport.start', { cluster: 'east', volume: 'db', ...rate });
  await until('a part to be there', async () => {
    return (await west.teleport('db')).status.progress.missingBytes < 20 * mebibyte;
  });
  await must('ip', 'link', 'set', wire.near, 'down');
  await west.connected('east', false);
  const { status } = await west.teleport('db');
  assert.equal(status.phase, 'Accessible');
  assert.ok(
    status.conditions.some((one) => one.type === 'SourceConnected' && one.status === 'False'),
  );
  await must('ip', 'link', 'set', wire.near, 'up');
  await west.phase('db', 'Available');
  using arrived = await west.connect('db');
  assert.equal(await digestOf(arrived), await digestOf(source));
});
