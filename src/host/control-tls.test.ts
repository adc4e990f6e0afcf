// The control API of an agent for other hosts: who may, who may not, and a real agent behind it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { asTransshipError } from '../base/errors.ts';
import { createControlClient } from './control-client.ts';
import { serveControlTls } from './control-server.ts';
import { controlServerName, type ControlTls, readControlTls } from './control-tls.ts';
import { makeMoverCertificates } from './mover/certificates.ts';

type Files = Readonly<Record<'ca.crt' | 'tls.crt' | 'tls.key', string>>;

const tlsOf = (files: Files): ControlTls => ({
  authority: files['ca.crt'],
  certificate: files['tls.crt'],
  key: files['tls.key'],
});

const made = (name = controlServerName) => makeMoverCertificates(name, Date.now());

/** An agent that answers every call with its path. */
async function serving(tls: ControlTls) {
  return serveControlTls({ host: '127.0.0.1', port: 0, tls }, async (exchange) => {
    exchange.begin(200, 'application/json');
    exchange.send(JSON.stringify({ path: exchange.path }));
    exchange.end();
  });
}

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return asTransshipError(error).reason;
  }
  return 'none';
}

suite('the control API over TLS', () => {
  test('both sides prove themselves; everybody else is refused', async () => {
    const own = made();
    const strangers = made();
    const server = await serving(tlsOf(own.server));
    try {
      const port = server.port!;
      const ask = (tls: ControlTls) =>
        createControlClient('n1', { host: '127.0.0.1', port, tls }).call('volume.list', {});
      assert.deepEqual(await ask(tlsOf(own.client)), { path: '/v1alpha1/volume.list' });
      // Signed by another authority, though the agent's own is trusted.
      const foreign = { ...tlsOf(strangers.client), authority: own.client['ca.crt'] };
      assert.equal(await reasonOf(ask(foreign)), 'AgentUnreachable');
      // Trusts another authority than the agent's.
      assert.equal(await reasonOf(ask(tlsOf(strangers.client))), 'AgentUnreachable');
    } finally {
      await server.close();
    }
  });

  test('a certificate for another name is not an agent', async () => {
    const own = made('somebody-else');
    const server = await serving(tlsOf(own.server));
    try {
      const target = { host: '127.0.0.1', port: server.port!, tls: tlsOf(own.client) };
      const call = createControlClient('n1', target).call('volume.list', {});
      assert.equal(await reasonOf(call), 'AgentUnreachable');
    } finally {
      await server.close();
    }
  });

  test('a real agent, as pods start it', async () => {
    const home = mkdtempSync(join(tmpdir(), 'ts-'));
    const { server, client } = made();
    for (const [side, files] of Object.entries({ server, client })) {
      mkdirSync(join(home, side));
      for (const [name, text] of Object.entries(files)) writeFileSync(join(home, side, name), text);
    }
    const port = await freePort();
    const mainPath = join(import.meta.dirname, '../main.ts');
    const words = ['node-agent', 'n1', '--pool', join(home, 'pool')];
    const where = ['--control-listen', `127.0.0.1:${port}`, '--control-tls', join(home, 'server')];
    const child = spawn(process.execPath, ['--no-warnings', mainPath, ...words, ...where], {
      env: { ...process.env, TRANSSHIP_HOME: home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    try {
      await new Promise<void>((resolve, reject) => {
        let said = '';
        child.stderr.setEncoding('utf8').on('data', (text: string) => {
          said += text;
          if (said.includes('agent ready')) resolve();
        });
        void ended.then((code) => reject(new Error(`the agent ended with ${code}: ${said}`)));
      });
      const tls = readControlTls(join(home, 'client'));
      const agent = createControlClient('n1', { host: '127.0.0.1', port, tls });
      await agent.call('volume.create', { name: 'db', sizeBytes: 2 ** 20 });
      const { items } = await agent.call('volume.list', {});
      assert.deepEqual(
        items.map(({ metadata }) => metadata.name),
        ['db'],
      );
      child.kill('SIGTERM');
      assert.equal(await ended, 0);
    } finally {
      child.kill('SIGKILL');
      await ended;
      rmSync(home, { recursive: true, force: true });
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
