import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { suite, test } from 'node:test';
import type { ControlClient } from '../../api/control-client.ts';
import { createVolumeMounts } from './volume-mounts.ts';

const options = { readOnly: false, fsType: 'ext4', block: false };
const log = { log: () => undefined };

/** Says what it was asked for; a detach waits until it is let go on. */
class PlayedAgent {
  readonly asked: string[] = [];
  readonly detaching = Promise.withResolvers<void>();
  readonly goOn = Promise.withResolvers<void>();

  async call(name: string): Promise<unknown> {
    this.asked.push(name);
    if (name === 'volume.detach') {
      this.detaching.resolve();
      await this.goOn.promise;
      this.asked.push('detached');
    }
    return { uri: 'nbd+unix:///v' };
  }
}

suite('volumes for pods', () => {
  test('are attached anew for who comes while they are let go', async (t) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'transship-mounts-'));
    t.after(() => fs.rmSync(directory, { recursive: true }));
    const agent = new PlayedAgent();
    const client = agent as unknown as ControlClient;
    const volumes = createVolumeMounts({ agent: client, directory, log });
    const gone = volumes.unmount('v', () => false);
    await agent.detaching.promise;
    const mounted = volumes.mount('v', options);
    await new Promise((resolve) => setImmediate(resolve));
    agent.goOn.resolve();
    await gone;
    assert.equal((await mounted).path, path.join(directory, 'v'));
    const wanted = ['volume.detach', 'detached', 'volume.uri', 'volume.attach'];
    assert.deepEqual(agent.asked, wanted);
  });

  test('stay attached for who asked before they were let go', async (t) => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'transship-mounts-'));
    t.after(() => fs.rmSync(directory, { recursive: true }));
    const agent = new PlayedAgent();
    const client = agent as unknown as ControlClient;
    const volumes = createVolumeMounts({ agent: client, directory, log });
    const mounted = volumes.mount('v', options);
    await Promise.all([mounted, volumes.unmount('v', () => true)]);
    assert.deepEqual(agent.asked, ['volume.uri', 'volume.attach']);
  });
});
