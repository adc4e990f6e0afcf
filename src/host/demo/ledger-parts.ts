/** A ledger written straight to an NBD export, and files laid end to end: needs no rights. */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NbdClient } from '../../nbd/client.ts';
import { connectNbd, parseNbdUri } from '../nbd-client.ts';
import type { Acknowledged, FileRead, FileShare, Found } from './application.ts';
import type { Filled, FillRequest } from './mounted-parts.ts';
import { inputEnded } from './part-input.ts';
import { chosenFiles, sha256, shareOf, type TreeFile } from './tree.ts';

/** Where what begins; the volume is larger than all of it. */
const ledgerOffset = 8 * 2 ** 30;
const newDataOffset = 12 * 2 ** 30;
const recordBytes = 4096;
const sumBytes = 32;
const magic = Buffer.from('LEDGER01');
/** Records read at a time when looking for the end. */
const batch = 256;

interface PlacedFile extends TreeFile {
  readonly offset: number;
}

async function withClient<T>(uri: string, use: (client: NbdClient) => Promise<T>): Promise<T> {
  const client = await connectNbd(parseNbdUri(uri));
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

/** magic 8, sequence 8, milliseconds 8, edited 8, random bytes, and their SHA-256 at the end. */
function makeRecord(sequence: number, madeMs: number, edited: boolean): Buffer {
  const record = Buffer.concat([magic, Buffer.alloc(24), randomBytes(recordBytes - 32)]);
  record.writeDoubleBE(sequence, 8);
  record.writeDoubleBE(madeMs, 16);
  record.writeDoubleBE(edited ? 1 : 0, 24);
  const sum = sha256(record.subarray(0, recordBytes - sumBytes));
  record.write(sum, recordBytes - sumBytes, 'hex');
  return record;
}

async function readLedger(client: NbdClient): Promise<Found> {
  const found = { records: 0, edits: 0, lastMadeMs: 0, problems: [] as string[] };
  const bytes = Buffer.alloc(batch * recordBytes);
  for (let offset = ledgerOffset; ; offset += bytes.length) {
    await client.read(bytes, offset);
    for (let at = 0; at < bytes.length; at += recordBytes) {
      const record = bytes.subarray(at, at + recordBytes);
      if (record.every((byte) => byte === 0)) return found;
      const content = record.subarray(0, recordBytes - sumBytes);
      const sum = record.subarray(recordBytes - sumBytes).toString('hex');
      const sequence = record.readDoubleBE(8);
      if (sha256(content) !== sum) found.problems.push(`the record at ${offset + at} is torn`);
      else if (sequence !== found.records + 1) found.problems.push(`${sequence} is out of order`);
      if (found.problems.length > 5) return found;
      found.records += 1;
      found.lastMadeMs = record.readDoubleBE(16);
      found.edits += record.readDoubleBE(24);
    }
  }
}

async function append(client: NbdClient, sequence: number, edited: boolean): Promise<void> {
  const offset = ledgerOffset + (sequence - 1) * recordBytes;
  await client.write(makeRecord(sequence, Date.now(), edited), offset);
}

export async function* writeLedger(request: {
  readonly uri: string;
  readonly paceMs: number;
}): AsyncGenerator<Acknowledged> {
  const ended = inputEnded();
  const client = await connectNbd(parseNbdUri(request.uri));
  const { records } = await readLedger(client);
  for (let sequence = records + 1; !ended.now; sequence++) {
    const beganMs = Date.now();
    await append(client, sequence, false);
    await client.flush();
    yield { sequence, beganMs, ackedMs: Date.now() };
    await sleep(request.paceMs);
  }
  client.disconnect();
}

export async function* checkLedger(request: { readonly uri: string }): AsyncGenerator<Found> {
  yield await withClient(request.uri, readLedger);
}

export async function* editLedger(request: {
  readonly uri: string;
  readonly edits: number;
  readonly newBytes: number;
}): AsyncGenerator<never> {
  await withClient(request.uri, async (client) => {
    const { records } = await readLedger(client);
    for (let index = 1; index <= request.edits; index++)
      await append(client, records + index, true);
    await client.write(randomBytes(request.newBytes), newDataOffset);
    await client.flush();
  });
  yield* [];
}

export async function* fillLedger(
  request: FillRequest & { readonly uri: string },
): AsyncGenerator<Filled> {
  const files: PlacedFile[] = [];
  await withClient(request.uri, async (client) => {
    let offset = 0;
    for (const { from, path, bytes } of chosenFiles(request.roots, request.bytesMax)) {
      const content = fs.readFileSync(from);
      await client.write(content, offset);
      files.push({ path, bytes, sha256: sha256(content), offset });
      // As file systems do: every file begins at a sector of its own.
      offset += Math.ceil(bytes / recordBytes) * recordBytes;
    }
    await client.flush();
  });
  fs.writeFileSync(request.manifest, JSON.stringify(files));
  yield { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}

export async function* readLedgerFiles(request: {
  readonly uri: string;
  readonly manifest: string;
  readonly share: FileShare;
}): AsyncGenerator<FileRead> {
  const files = JSON.parse(fs.readFileSync(request.manifest, 'utf8')) as readonly PlacedFile[];
  const client = await connectNbd(parseNbdUri(request.uri));
  for (const { path, bytes, sha256: sum, offset } of shareOf(files, request.share)) {
    const content = Buffer.alloc(bytes);
    await client.read(content, offset);
    yield { path, bytes, right: sha256(content) === sum };
  }
  client.disconnect();
}
