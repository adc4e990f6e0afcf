/** Image formats that qemu knows, through qemu-nbd on a private unix socket. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as fsp from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ImageReader, ImageWriter } from '../agent/ports.ts';
import { fail, TransshipError } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import type { NbdClient } from '../nbd/client.ts';
import { ImageWatch } from './image-watch.ts';
import { connectNbd } from './nbd-client.ts';

const run = promisify(execFile);
const exportName = 'image';
/** For qemu-nbd to open the image and listen. */
const startMs = 20_000;
const pollMs = 20;
/** For a qemu-nbd that gave up to be gone. */
const endMs = 2_000;
/** Extents are asked for in pieces of this much: bounded lists on images of any size. */
const extentsBytes = 16 * 1024 * 1024 * 1024;

interface QemuImage {
  readonly path: string;
  readonly format: string;
  /** For the socket; private to this user. */
  readonly temporaryDirectory: string;
}

export async function openWithQemu(image: QemuImage): Promise<ImageReader> {
  checkFormat(image.format);
  const watch = await ImageWatch.start(image.path);
  const served = await serveImage(image, ['--read-only']);
  const { client } = served;
  return {
    sizeBytes: client.sizeBytes,
    format: image.format,
    async *dataRanges() {
      for (let asked = 0; asked < client.sizeBytes; asked += extentsBytes) {
        let offset = asked;
        const length = Math.min(extentsBytes, client.sizeBytes - asked);
        for (const { hole, lengthBytes } of await client.extents(asked, length)) {
          if (!hole) yield { offset, lengthBytes };
          offset += lengthBytes;
        }
      }
    },
    read: (into, offset) =>
      client.read(into, offset).catch((error: unknown) => {
        fail('BadImage', `qemu-nbd cannot read ${image.path}: ${(error as Error).message}`, error);
      }),
    checkUnchanged: () => watch.check(),
    close: () => served.close(),
  };
}

export async function writeWithQemu(
  image: QemuImage & { readonly sizeBytes: number },
): Promise<ImageWriter> {
  checkFormat(image.format);
  const partial = `${image.path}.partial`;
  await tool('qemu-img', ['create', '-q', '-f', image.format, partial, String(image.sizeBytes)]);
  const served = await serveImage({ ...image, path: partial }, ['--cache=writeback']);
  return {
    write: (from, offset) => served.client.write(from, offset),
    finish: async () => {
      await served.client.flush();
      await served.close();
      await fsp.rename(partial, image.path);
    },
    abandon: async () => {
      await served.close();
      await fsp.rm(partial, { force: true });
    },
  };
}

/** It becomes an argument of a program: only plain words. */
function checkFormat(format: string): void {
  if (!/^[a-z0-9]+$/.test(format)) fail('BadArgument', `'${printable(format)}' is no image format`);
}

async function tool(program: string, args: readonly string[]): Promise<void> {
  await run(program, args).catch((error: unknown) => {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') missing(program);
    fail('BadImage', `${program}: ${firstLineOf(stderr ?? '')}`, error);
  });
}

function missing(program: string): never {
  fail('ToolMissing', `${program} is not installed (Debian: qemu-utils); raw images need no tool`);
}

function firstLineOf(text: string): string {
  return printable(text.trim().split('\n')[0] ?? 'failed');
}

interface Served {
  readonly client: NbdClient;
  close(): Promise<void>;
}

/** Without `--persistent` qemu-nbd ends with its client, also when this process is killed. */
async function serveImage(image: QemuImage, extra: readonly string[]): Promise<Served> {
  const socketPath = join(image.temporaryDirectory, `q${randomBytes(4).toString('hex')}.sock`);
  const args = [
    ...extra,
    `--format=${image.format}`,
    `--socket=${socketPath}`,
    `--export-name=${exportName}`,
    '--shared=1',
    '--',
    image.path,
  ];
  const child = spawn('qemu-nbd', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = endOf(child);
  try {
    await Promise.race([waitForSocket(socketPath), ended.then(refuse)]);
    const client = await connectNbd({ exportName, socketPath }).catch(async (error: unknown) => {
      // It may listen before it finds the image broken; what it says then is the better reason.
      await Promise.race([ended.then(refuse), sleep(endMs)]);
      throw error;
    });
    return {
      client,
      close: async () => {
        client.disconnect();
        await ended;
        fs.rmSync(socketPath, { force: true });
      },
    };
  } catch (error) {
    child.kill();
    fs.rmSync(socketPath, { force: true });
    throw error;
  }
}

interface Ended {
  readonly missing: boolean;
  readonly said: string;
}

function endOf(child: ChildProcess): Promise<Ended> {
  let said = '';
  child.stderr?.on('data', (part: Buffer) => {
    if (said.length < 4096) said += part.toString();
  });
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      resolve({ missing: error.code === 'ENOENT', said: error.message });
    });
    child.once('close', () => resolve({ missing: false, said }));
  });
}

function refuse(ended: Ended): never {
  if (ended.missing) missing('qemu-nbd');
  throw new TransshipError('BadImage', `qemu-nbd: ${firstLineOf(ended.said)}`);
}

async function waitForSocket(path: string): Promise<void> {
  const deadline = performance.now() + startMs;
  while (!fs.existsSync(path)) {
    if (performance.now() > deadline) fail('BadImage', 'qemu-nbd did not start in time');
    await sleep(pollMs);
  }
}
