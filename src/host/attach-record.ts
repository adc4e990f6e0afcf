/** What an attachment has done or is about to do, on disk before it does it. */
import fs from 'node:fs';
import path from 'node:path';
import { fail } from '../base/errors.ts';

export interface AttachRecord {
  readonly version: 1;
  readonly name: string;
  readonly uri: string;
  readonly readOnly: boolean;
  /** Where the NBD export becomes a file: `directory/disk`. */
  readonly fuse?: {
    readonly directory: string;
    readonly pid?: number;
    /**
     * The process is the keeper of devices, not nbdfuse: the file can grow. When it was started, in
     * ticks of the kernel: in containers, another one may soon have its number.
     */
    readonly keptSince?: string;
  };
  /** Without a device: about to be made. */
  readonly loop?: { readonly device?: string };
  readonly kernel?: { readonly device: string };
  /** `made`: the directory is ours and goes at the end. */
  readonly mount?: { readonly path: string; readonly made: boolean };
  /** All steps are done. */
  readonly complete: boolean;
}

function recordPath(stateDirectory: string, name: string): string {
  return path.join(stateDirectory, name, 'attachment.json');
}

export function attachmentDirectory(stateDirectory: string, name: string): string {
  return path.join(stateDirectory, name);
}

/** Durable when it returns: a crash of the machine must find it too. */
export function writeRecord(stateDirectory: string, record: AttachRecord): void {
  const file = recordPath(stateDirectory, record.name);
  const temporary = `${file}.new`;
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const text = `${JSON.stringify(record, undefined, 2)}\n`;
  fs.writeFileSync(temporary, text, { mode: 0o600, flush: true });
  fs.renameSync(temporary, file);
  const directory = fs.openSync(path.dirname(file), 'r');
  try {
    fs.fsyncSync(directory);
  } finally {
    fs.closeSync(directory);
  }
}

export function readRecord(stateDirectory: string, name: string): AttachRecord | undefined {
  const file = recordPath(stateDirectory, name);
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    fail('DiskFailed', `cannot read ${file}: ${(error as Error).message}`, error);
  }
  const value = parse(text);
  if (value?.version === 1 && value.name === name) return value;
  return fail('DiskFailed', `${file} is not an attachment of this version`);
}

/** Only we write these files (mode 0600), so their inner shape is not checked again. */
function parse(text: string): AttachRecord | undefined {
  try {
    return JSON.parse(text) as AttachRecord;
  } catch {
    return undefined;
  }
}

export function removeRecord(stateDirectory: string, name: string): void {
  fs.rmSync(recordPath(stateDirectory, name), { force: true });
  fs.rmSync(`${recordPath(stateDirectory, name)}.new`, { force: true });
  const directory = attachmentDirectory(stateDirectory, name);
  fs.rmSync(path.join(directory, 'nbdfuse.log'), { force: true });
  try {
    fs.rmdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

export function recordedNames(stateDirectory: string): string[] {
  if (!fs.existsSync(stateDirectory)) return [];
  const names = fs.readdirSync(stateDirectory).toSorted();
  return names.filter((name) => fs.existsSync(recordPath(stateDirectory, name)));
}
