// The block mover as processes over TLS: what travels is counted on the way, links are cut,
// receivers are killed, and `cmp` has the last word.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { BlockLine } from '../../../src/files/block-lines.ts';
import { startRelay } from '../../relay/relay.ts';
import { missing, must, run, scratch } from '../tools.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');
const skip = missing('openssl', 'cmp');
const kib = 1024;
const mib = 1024 * kib;
const sizeBytes = 80 * mib + 4096;

type LineOf<Type extends BlockLine['type']> = Extract<BlockLine, { readonly type: Type }>;

/** A mover process, its lines, and its end. */
class Mover implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: BlockLine[] = [];
  readonly #exited: Promise<number | null>;
  #text = '';
  #isOver = false;
  #wake: () => void = () => undefined;

  constructor(...words: readonly string[]) {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const args = [...process.execArgv, mainPath, 'mover', ...words];
    const child = spawn(process.execPath, args, { stdio: [...stdio] });
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.#lines.push(JSON.parse(line) as BlockLine);
      this.#wake();
    });
    child.stderr!.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString();
    });
    this.#exited = new Promise((resolve) => {
      child.once('close', (code) => {
        this.#isOver = true;
        this.#wake();
        resolve(code);
      });
    });
  }

  /** The first line of this type; fails when the process ends without one. */
  async line<Type extends BlockLine['type']>(type: Type): Promise<LineOf<Type>> {
    for (;;) {
      const found = this.#lines.find((line) => line.type === type);
      if (found !== undefined) return found as LineOf<Type>;
      const said = `${JSON.stringify(this.#lines)} ${this.#text}`;
      assert.ok(!this.#isOver, `no ${type} before the end: ${said}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  end(): Promise<number | null> {
    return this.#exited;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** An authority, and a certificate for each name in a directory of its own. */
async function certificates(directory: string, ...names: readonly string[]): Promise<void> {
  const authority = join(directory, 'authority');
  const key = 'req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
  const self = `${key} -x509 -days 2 -subj /CN=authority -keyout ${authority}.key`;
  await must('openssl', ...`${self} -out ${authority}.crt`.split(' '));
  for (const name of names) {
    const at = join(directory, name);
    fs.mkdirSync(at);
    const request = `${key} -subj /CN=${name} -addext subjectAltName=DNS:${name}`;
    await must('openssl', ...`${request} -keyout ${at}/tls.key -out ${at}/csr`.split(' '));
    const sign = `x509 -req -in ${at}/csr -CA ${authority}.crt -CAkey ${authority}.key -days 2`;
    const out = `-CAcreateserial -copy_extensions copy -out ${at}/tls.crt`;
    await must('openssl', ...`${sign} ${out}`.split(' '));
    fs.copyFileSync(`${authority}.crt`, join(at, 'ca.crt'));
  }
}

/** Noise with holes: 3 MiB of every 4 are holes that nobody ever wrote. */
function makeSource(path: string): number {
  const file = fs.openSync(path, 'w');
  let bytes = 0;
  fs.ftruncateSync(file, sizeBytes);
  for (let at = 0; at + mib <= sizeBytes; at += 4 * mib) {
    bytes += fs.writeSync(file, randomBytes(mib), 0, mib, at);
  }
  fs.closeSync(file);
  return bytes;
}

interface Place {
  readonly directory: string;
  readonly source: string;
  readonly destination: string;
  readonly dataBytes: number;
}

async function place(directory: string): Promise<Place> {
  await certificates(directory, 'near', 'far');
  const [source, destination] = [join(directory, 'source'), join(directory, 'destination')];
  return { directory, source, destination, dataBytes: makeSource(source) };
}

function receiver({ directory, destination }: Place, ...more: readonly string[]): Mover {
  const words = `--destination ${destination} --listen 127.0.0.1:0 --certificates ${directory}/far`;
  return new Mover('block-receive', ...words.split(' '), ...more);
}

function sender({ directory, source }: Place, port: number, ...more: readonly string[]): Mover {
  const words = `--source ${source} --to 127.0.0.1:${port} --certificates ${directory}/near`;
  return new Mover('block-send', ...words.split(' '), ...more);
}

/** One whole copy over a relay; resolves with the bytes that passed, both ways. */
async function copyOnce(at: Place, ...more: readonly string[]): Promise<number> {
  await using far = receiver(at, ...more);
  const { port } = await far.line('Listening');
  const relay = await startRelay({ host: '127.0.0.1', port, delayMs: 0 });
  try {
    await using near = sender(at, relay.port, '--server-name', 'far');
    const done = await near.line('Done');
    assert.equal((await far.line('Done')).digest, done.digest);
    assert.deepEqual([await near.end(), await far.end()], [0, 0]);
    return relay.bytes();
  } finally {
    await relay.close();
  }
}

test('holes do not travel; of later changes only those do', { skip }, async () => {
  using directory = scratch();
  const at = await place(directory.path);
  const first = await copyOnce(at);
  await must('cmp', at.source, at.destination);
  assert.ok(first > at.dataBytes && first < at.dataBytes * 1.05, `${first} of ${at.dataBytes}`);
  const sparse = storedBytes(at.destination);
  assert.ok(sparse < sizeBytes / 2, `holes stay holes: ${sparse} bytes are stored`);
  const file = fs.openSync(at.source, 'r+');
  for (const block of [3, 400, 1279]) {
    fs.writeSync(file, randomBytes(100), 0, 100, block * 64 * kib + 11);
  }
  fs.writeSync(file, Buffer.alloc(mib), 0, mib, 8 * mib);
  fs.closeSync(file);
  const second = await copyOnce(at, '--reread');
  await must('cmp', at.source, at.destination);
  // One of the three was full of noise; names are 32 bytes for each block that is not zero.
  assert.ok(second < 256 * kib, `${second} bytes for three blocks`);
});

test('after a cut, and after a killed receiver, only what is missing travels', {
  skip,
}, async () => {
  using directory = scratch();
  const at = await place(directory.path);
  await using far = receiver(at);
  const { port } = await far.line('Listening');
  await cutAt(at, port, { storedBytes: at.dataBytes / 4 }, async () => {
    assert.equal((await far.line('Interrupted')).reason, 'SourceUnreachable');
  });
  await cutAt(at, port, { storedBytes: at.dataBytes / 2 }, () => far.kill());
  const stored = storedBytes(at.destination);
  assert.ok((await run('cmp', at.source, at.destination)).code !== 0, 'it was in the middle');
  const passed = await copyOnce(at);
  await must('cmp', at.source, at.destination);
  const missing = at.dataBytes - stored;
  assert.ok(passed < missing * 1.05 + 64 * kib, `${passed} passed where ${missing} were missing`);
});

function storedBytes(path: string): number {
  return (fs.statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}

/** Copies until so many bytes are stored at the destination, cuts the way, then does `then`. */
async function cutAt(
  at: Place,
  port: number,
  when: { readonly storedBytes: number },
  then: () => Promise<void>,
): Promise<void> {
  const relay = await startRelay({ host: '127.0.0.1', port, delayMs: 0 });
  try {
    const reached = new Promise<void>((resolve) => {
      relay.onPassed(() => {
        if (storedBytes(at.destination) < when.storedBytes) return;
        relay.cut();
        resolve();
      });
    });
    // Slow enough that there is a middle.
    await using near = sender(at, relay.port, '--rate', '6MiB/s');
    await reached;
    await then();
    assert.equal((await near.line('Failed')).reason, 'SourceUnreachable');
  } finally {
    await relay.close();
  }
}

test('strangers, wrong names and small devices are refused', { skip }, async () => {
  using directory = scratch();
  const at = await place(directory.path);
  using elsewhere = scratch();
  await certificates(elsewhere.path, 'near');
  await using far = receiver(at);
  const { port } = await far.line('Listening');
  await using wrong = sender(at, port, '--server-name', 'other');
  assert.equal((await wrong.line('Failed')).reason, 'NotTrusted');
  await using stranger = sender({ ...at, directory: elsewhere.path }, port);
  assert.equal((await stranger.line('Failed')).reason, 'NotTrusted');
  assert.equal(fs.existsSync(at.destination), false);
  fs.writeFileSync(at.destination, 'small');
  await using near = sender(at, port);
  assert.equal((await near.line('Failed')).reason, 'BadSize');
  assert.equal((await far.line('Failed')).reason, 'BadSize');
  assert.equal(fs.readFileSync(at.destination, 'utf8'), 'small');
});

test('a block device as destination: its size is found, its tail becomes zero', async (t) => {
  const reason = skip || missing('losetup');
  if (reason !== false) return t.skip(reason);
  using directory = scratch();
  const at = await place(directory.path);
  const backing = join(directory.path, 'backing');
  const tail = 2 * mib;
  fs.writeFileSync(backing, Buffer.alloc(sizeBytes + tail, 7));
  const found = await run('losetup', '--find', '--show', backing);
  if (found.code !== 0) return t.skip(`no loop device: ${found.stderr.trim()}`);
  const destination = found.stdout.trim();
  try {
    await copyOnce({ ...at, destination });
    await must('cmp', '--bytes', String(sizeBytes), at.source, destination);
    await must(
      'cmp',
      '--bytes',
      String(tail),
      '--ignore-initial',
      `${sizeBytes}:0`,
      destination,
      '/dev/zero',
    );
  } finally {
    await must('losetup', '--detach', destination);
  }
});
