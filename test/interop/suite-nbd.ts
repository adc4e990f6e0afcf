// What real NBD clients must be able to do with an export of ours, whatever is behind it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { missing, must, run, scratch } from './tools.ts';

/** A server with one blank, writable export of 64 MiB to 1 GiB. */
export interface NbdTarget {
  readonly uri: string;
  readonly socketPath: string;
  readonly exportName: string;
  close(): Promise<void>;
}

export type StartNbd = () => Promise<NbdTarget>;

const mebibyte = 1024 * 1024;

/** Registers the tests. Each starts a server of its own. */
export function nbdSuite(start: StartNbd): void {
  const on: Register = (name, tools, body) => {
    test(name, { skip: missing(...tools) }, async (t) => {
      const target = await start();
      using directory = scratch();
      try {
        await body(target, t, directory.path);
      } finally {
        await target.close();
      }
    });
  };
  aboutSuite(on);
  copySuite(on);
  patternSuite(on);
  loadSuite(on);
}

type Register = (
  name: string,
  tools: readonly string[],
  body: (target: NbdTarget, t: TestContext, directory: string) => Promise<void>,
) => void;

async function sizeOf(target: NbdTarget): Promise<number> {
  return Number(await must('nbdinfo', '--size', target.uri));
}

function aboutSuite(on: Register): void {
  on('nbdinfo sees every capability', ['nbdinfo'], async (target) => {
    const { exports: found } = JSON.parse(await must('nbdinfo', '--json', target.uri));
    const [about] = found;
    assert.equal(about['export-name'], target.exportName);
    for (const can of ['multi_conn', 'flush', 'fua', 'trim', 'zero', 'df', 'cache', 'fast_zero']) {
      assert.equal(about[`can_${can}`], true, can);
    }
    assert.equal(about.is_read_only, false);
    assert.deepEqual(about.contexts, ['base:allocation']);
    assert.deepEqual([about.block_size_minimum, about.block_size_maximum], [1, 32 * mebibyte]);
  });

  on('nbdinfo lists the export, and an unknown name is refused', ['nbdinfo'], async (target) => {
    const anywhere = target.uri.replace(/^(nbd\+unix:\/\/\/)[^?]*/, '$1');
    const { exports: found } = JSON.parse(await must('nbdinfo', '--list', '--json', anywhere));
    const names = found.map((one: Record<string, unknown>) => one['export-name']);
    assert.ok(names.includes(target.exportName));
    const unknown = await run('nbdinfo', anywhere.replace('?', 'no-such-volume?'));
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /no-such-volume|No such/);
  });

  on(
    'the map of a blank export is one hole, and shows what was written',
    ['nbdinfo', 'qemu-io'],
    async (target) => {
      const map = async (): Promise<{ offset: number; length: number; type: number }[]> =>
        JSON.parse(await must('nbdinfo', '--map', '--json', target.uri));
      const blank = await map();
      assert.ok(blank.every(({ type }) => type === 3));
      await qemuIo(target, 'write -P 1 8M 1M');
      const written = await map();
      const total = written.reduce((sum, { length }) => sum + length, 0);
      assert.equal(total, await sizeOf(target));
      const data = written.filter(({ type }) => type === 0);
      assert.deepEqual(
        [data.length, data[0]?.offset, data[0]?.length],
        [1, 8 * mebibyte, mebibyte],
      );
    },
  );

  on('qemu-img reads it as a raw image of its size', ['qemu-img', 'nbdinfo'], async (target) => {
    const about = JSON.parse(await must('qemu-img', 'info', '--output=json', target.uri));
    assert.deepEqual([about.format, about['virtual-size']], ['raw', await sizeOf(target)]);
  });
}

function copySuite(on: Register): void {
  on('nbdcopy there and back keeps every byte', ['nbdcopy'], async (target, _, directory) => {
    const from = join(directory, 'from');
    const to = join(directory, 'to');
    const content = imageOf(await sizeOf(target));
    writeFileSync(from, content);
    await must('nbdcopy', '--flush', from, target.uri);
    await must('nbdcopy', target.uri, to);
    assert.ok(readFileSync(to).equals(content));
    await must('nbdcopy', '--synchronous', target.uri, to);
    assert.ok(readFileSync(to).equals(content));
  });

  on(
    'qemu-img converts in and out, and finds no difference',
    ['qemu-img'],
    async (target, _, directory) => {
      const raw = join(directory, 'raw');
      const qcow = join(directory, 'qcow2');
      writeFileSync(raw, imageOf(await sizeOf(target)));
      await must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, qcow);
      const into = ['convert', '-n', '-W', '-m', '8', '-f', 'qcow2', '-O', 'raw', qcow, target.uri];
      await must('qemu-img', ...into);
      await must('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', raw, target.uri);
      const out = join(directory, 'out');
      await must('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', target.uri, out);
      assert.ok(readFileSync(out).equals(readFileSync(raw)));
    },
  );
}

/** Random data with holes between. */
function imageOf(sizeBytes: number): Buffer {
  const image = Buffer.alloc(sizeBytes);
  for (let at = 0; at + mebibyte <= sizeBytes; at += 5 * mebibyte) {
    randomBytes(mebibyte).copy(image, at + 777);
  }
  return image;
}

async function qemuIo(target: NbdTarget, ...commands: readonly string[]): Promise<void> {
  const words = commands.flatMap((command) => ['-c', command]);
  const said = await must('qemu-io', '-f', 'raw', ...words, target.uri);
  assert.doesNotMatch(said, /verification failed|error/i);
}

function patternSuite(on: Register): void {
  on('patterns at any offset and length, zeroes, trims, FUA', ['qemu-io'], async (target) => {
    await qemuIo(
      target,
      'write -P 1 0 1M',
      'write -P 2 513 70001',
      'read -P 1 0 513',
      'read -P 2 513 70001',
      'read -P 1 70514 978062',
      'write -z 4095 12289',
      'read -P 0 4095 12289',
      'read -P 2 16384 54130',
      'write -f -P 3 1M 17M',
      'read -P 3 1M 17M',
      'discard 2M 4M',
      'read -P 0 2M 4M',
      'write -z -u 7M 1M',
      'read -P 0 7M 1M',
      'flush',
      'aio_write -P 4 20M 64k',
      'aio_write -P 5 21M 64k',
      'aio_flush',
      'read -P 4 20M 64k',
      'read -P 5 21M 64k',
    );
  });

  on('what one connection flushed another reads', ['qemu-io'], async (target) => {
    await qemuIo(target, 'write -P 9 3M 2M', 'flush');
    await qemuIo(target, 'read -P 9 3M 2M');
  });

  on('libnbd has every command, and errors at the edges', ['python3'], async (target, t) => {
    // nbdsh is a wrapper that may find another Python than the system's.
    if ((await run('python3', '-c', 'import nbd')).code !== 0) {
      t.skip('python3-libnbd is not installed');
      return;
    }
    await must('python3', '-c', libnbdScript, target.uri);
  });
}

const libnbdScript = `import errno, sys, nbd
h = nbd.NBD()
h.set_strict_mode(0)
h.add_meta_context("base:allocation")
h.connect_uri(sys.argv[1])
size = h.get_size()
h.pwrite(b"x" * 1000, 12345, nbd.CMD_FLAG_FUA)
assert h.pread(1002, 12344) == b"\\0" + b"x" * 1000 + b"\\0"
chunks = []
note = lambda data, offset, status, error: chunks.append((offset, status))
h.pread_structured(4096, 12288, note, nbd.CMD_FLAG_DF)
assert len(chunks) == 1 and chunks[0][0] == 12288
h.zero(1000, 12345, nbd.CMD_FLAG_FAST_ZERO)
assert h.pread(1000, 12345) == bytes(1000)
h.trim(65536, 0); h.cache(65536, 0); h.flush()
def code(f):
    try:
        f()
    except nbd.Error as error:
        return error.errnum
assert code(lambda: h.pread(512, size)) == errno.EINVAL
assert code(lambda: h.pwrite(b"y" * 512, size - 511)) == errno.ENOSPC
assert code(lambda: h.zero(512, size)) == errno.ENOSPC
assert code(lambda: h.trim(512, size)) == errno.EINVAL
assert code(lambda: h.pread(512, 0, 1 << 9)) == errno.EINVAL
extents = []
note = lambda context, offset, entries, error: extents.extend(entries)
h.block_status(min(size, 2**31), 0, note, nbd.CMD_FLAG_REQ_ONE)
assert len(extents) == 2, extents
assert h.pread(4096, 0) is not None
h.shutdown()
`;

function loadSuite(on: Register): void {
  for (const [name, words] of [
    ['small random writes', ['--rw=randwrite', '--bsrange=512-128k', '--iodepth=32']],
    [
      'misaligned random writes',
      ['--rw=randrw', '--bsrange=1k-9k', '--iodepth=16', '--bs_unaligned'],
    ],
    ['sequential 256 KiB', ['--rw=write', '--bs=256k', '--iodepth=8']],
    [
      'writes with a flush each',
      ['--rw=randwrite', '--bs=4k', '--iodepth=4', '--fsync=1', '--io_size=8M'],
    ],
  ] as const) {
    on(`fio verifies ${name}`, ['fio'], async (target, _, directory) => {
      const always = ['--name=t', '--ioengine=nbd', `--uri=${target.uri}`, '--size=48M'];
      const verify = [
        '--verify=crc32c',
        '--verify_fatal=1',
        `--aux-path=${directory}`,
        '--randseed=7',
        '--norandommap=0',
      ];
      await must('fio', ...always, ...verify, ...words);
    });
  }

  on('fio verifies four connections at once', ['fio'], async (target, _, directory) => {
    const shape = ['--numjobs=4', '--size=12M', '--offset_increment=16M', '--group_reporting'];
    const load = ['--rw=randwrite', '--bsrange=4k-64k', '--iodepth=16'];
    const verify = ['--verify=crc32c', '--verify_fatal=1', `--aux-path=${directory}`];
    const words = ['--name=t', '--ioengine=nbd', `--uri=${target.uri}`];
    await must('fio', ...words, ...shape, ...load, ...verify);
  });
}
