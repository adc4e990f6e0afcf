import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransshipError } from '../base/errors.ts';
import { MemoryDevice } from '../nbd/memory-device.ts';
import { connectNbd, parseNbdUri, unixNbdUri } from './nbd-client.ts';
import { createNbdServer, type NbdServer, type NbdServerOptions } from './nbd-server.ts';

const silent = {
  log: { log: () => undefined },
  metrics: { add: () => undefined, set: () => undefined, observe: () => undefined },
};

function scratch(): { readonly path: string } & Disposable {
  const directory = fs.mkdtempSync(path.join(tmpdir(), 'ts-'));
  const remove = () => fs.rmSync(directory, { recursive: true, force: true });
  return { path: directory, [Symbol.dispose]: remove };
}

function serve(
  socketPath: string,
  options: Partial<NbdServerOptions> & { readonly device?: MemoryDevice } = {},
): Promise<NbdServer> {
  const device = options.device ?? new MemoryDevice({ sizeBytes: 1024 * 1024 });
  const find = (name: string) => (name === 'vol' ? device : undefined);
  return createNbdServer({
    socketPath,
    exports: { find, list: () => ['vol'] },
    ...silent,
    ...options,
  });
}

test('the socket is its owner’s only, and gone after close', async () => {
  using directory = scratch();
  const socketPath = path.join(directory.path, 'deep', 'nbd.sock');
  const server = await serve(socketPath);
  assert.equal(fs.statSync(socketPath).mode & 0o777, 0o600);
  assert.equal(fs.statSync(path.dirname(socketPath)).mode & 0o777, 0o700);
  await server.close();
  assert.equal(fs.existsSync(socketPath), false);
});

test('a living server keeps its socket; a dead one’s is replaced', async () => {
  using directory = scratch();
  const socketPath = path.join(directory.path, 'nbd.sock');
  const where = JSON.stringify(socketPath);
  const listen = `require('net').createServer().listen(${where}, () => console.log('up'))`;
  const other = spawn(process.execPath, ['-e', listen]);
  const exited = new Promise((resolve) => other.once('exit', resolve));
  try {
    // The socket is there before anybody listens.
    await once(other.stdout, 'data');
    await assert.rejects(serve(socketPath), { reason: 'InUse' });
  } finally {
    other.kill('SIGKILL');
    await exited;
  }
  assert.equal(fs.existsSync(socketPath), true);
  const server = await serve(socketPath);
  await assert.rejects(serve(socketPath), { reason: 'InUse' });
  assert.equal(fs.existsSync(socketPath), true);
  await server.close();
});

test('a file that is no socket is not touched', async () => {
  using directory = scratch();
  const file = path.join(directory.path, 'nbd.sock');
  fs.writeFileSync(file, 'precious');
  await assert.rejects(serve(file), { reason: 'AlreadyExists' });
  assert.equal(fs.readFileSync(file, 'utf8'), 'precious');
});

test('a path that is too long for a socket is refused, not cut', async () => {
  using directory = scratch();
  const socketPath = path.join(directory.path, 'x'.repeat(100), 'nbd.sock');
  await assert.rejects(serve(socketPath), { reason: 'BadArgument' });
});

test('doors open with a client and close with it, also when it is cut off', async () => {
  using directory = scratch();
  const socketPath = path.join(directory.path, 'nbd.sock');
  const doors: string[] = [];
  const onOpen = (name: string) => {
    doors.push(name);
    return () => void doors.pop();
  };
  const server = await serve(socketPath, { onOpen });
  const client = await connectNbd({ socketPath, exportName: 'vol' });
  assert.deepEqual([doors, server.connections()], [['vol'], 1]);
  client.disconnect();
  while (doors.length > 0) await sleep(5);
  const raw = net.connect(socketPath);
  await new Promise((resolve) => raw.once('data', resolve));
  raw.destroy();
  while (server.connections() > 0) await sleep(5);
  assert.deepEqual(doors, []);
  await server.close();
});

test('a door that refuses says why', async () => {
  using directory = scratch();
  const socketPath = path.join(directory.path, 'nbd.sock');
  const onOpen = () => {
    throw new TransshipError('InUse', 'vol is being restored');
  };
  const server = await serve(socketPath, { onOpen });
  await assert.rejects(connectNbd({ socketPath, exportName: 'vol' }), /vol is being restored/);
  await assert.rejects(connectNbd({ socketPath, exportName: 'no' }), { reason: 'NotFound' });
  await server.close();
});

test('close answers what is in flight and ends idle clients', async () => {
  using directory = scratch();
  const socketPath = path.join(directory.path, 'nbd.sock');
  let release = () => {};
  class Slow extends MemoryDevice {
    override flush(): Promise<void> {
      return new Promise((resolve) => {
        release = resolve;
      });
    }
  }
  const server = await serve(socketPath, { device: new Slow({ sizeBytes: 65536 }) });
  const busy = await connectNbd({ socketPath, exportName: 'vol' });
  const idle = await connectNbd({ socketPath, exportName: 'vol' });
  const flushed = busy.flush();
  await sleep(50);
  const closed = server.close();
  await sleep(50);
  release();
  await flushed;
  await closed;
  await assert.rejects(idle.flush(), { reason: 'SourceUnreachable' });
  await assert.rejects(connectNbd({ socketPath, exportName: 'vol' }), {
    reason: 'SourceUnreachable',
  });
});

test('a client that floods and never reads is held back, and the server stays well', async () => {
  using directory = scratch();
  const socketPath = path.join(directory.path, 'nbd.sock');
  const device = new MemoryDevice({ sizeBytes: 64 * 1024 * 1024 });
  const server = await serve(socketPath, { device });
  const before = process.memoryUsage().rss;
  const flood = net.connect(socketPath).pause();
  const name = Buffer.from('vol');
  const go = Buffer.concat([
    Buffer.from('00000003', 'hex'),
    Buffer.from('IHAVEOPT\0\0\0\u0007\0\0\0\u0009\0\0\0\u0003', 'latin1'),
    name,
    Buffer.from([0, 0]),
  ]);
  flood.write(go);
  const read = Buffer.alloc(28);
  read.writeUInt32BE(0x25609513, 0);
  read.writeUInt32BE(32 * 1024 * 1024, 24);
  flood.write(Buffer.concat(Array.from({ length: 20_000 }, () => read)));
  await sleep(300);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 200 * 1024 * 1024, `grown by ${grown} bytes`);
  const client = await connectNbd({ socketPath, exportName: 'vol' });
  await client.write(Buffer.from('well'), 0);
  client.disconnect();
  flood.destroy();
  await server.close();
});

test('addresses are parsed, and written so that they parse', () => {
  const uri = unixNbdUri('my vol', '/run/a b/nbd.sock');
  assert.deepEqual(parseNbdUri(uri), { exportName: 'my vol', socketPath: '/run/a b/nbd.sock' });
  assert.deepEqual(parseNbdUri('nbds://[::1]:99/v'), {
    exportName: 'v',
    tcp: { host: '::1', port: 99 },
  });
  assert.equal(parseNbdUri('nbds://host/v').tcp?.port, 10809);
  for (const bad of ['x', 'http://a/b', 'nbd+unix:///v']) {
    assert.throws(() => parseNbdUri(bad), { reason: 'BadArgument' });
  }
});
