/** What a backup of namespaces says, as texts that a repository keeps. Pure. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { fail } from '../../../base/errors.ts';
import { limits } from '../../../base/limits.ts';
import type { KubeObject, ResourceType } from '../../../kube/objects.ts';

/** A volume in a backup, and the claim that it was under. */
export interface BackupVolume {
  readonly namespace: string;
  readonly claim: string;
  /** The Volume, and the SavedVersion of it. */
  readonly volume: string;
  readonly version: string;
  readonly bytes: number;
  readonly addedBytes: number;
  /** Of what is in the volume; absent: it is a raw device. */
  readonly fsType?: string;
}

/** The part 0: what is in it. */
export interface BackupHead {
  readonly name: string;
  /** Uid of the Replication that made it. */
  readonly by: string;
  readonly cluster: string;
  /** The moment at which it began. */
  readonly time: string;
  readonly namespaces: readonly string[];
  readonly volumes: readonly BackupVolume[];
  readonly objects: number;
  /** How many parts follow. */
  readonly parts: number;
}

/** An object as its cluster had it, and how it is served. */
export interface BackupLine {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

/** Base64 has four characters for three bytes. */
const partBytes = (limits.backupPartMax / 4) * 3;
/** Text that is compressed at once. */
const batchLength = 256 * 1024;
/** Of all objects of a backup, when it is read again: they are held in memory. */
const textMax = 512 * 1024 * 1024;

/** `LimitExceeded` for so many volumes that they do not fit. */
export function encodeHead(head: BackupHead): string {
  const text = gzipSync(JSON.stringify(head)).toString('base64');
  if (text.length <= limits.backupPartMax) return text;
  const what = `a backup of ${head.volumes.length} volumes in ${head.namespaces.length} namespaces`;
  return fail('LimitExceeded', `${what} is too large; back up fewer namespaces at once`);
}

/** `DataCorrupt` for what nobody here has written. */
export function decodeHead(content: string): BackupHead {
  const head = parse(unpack(content, limits.backupPartMax * 64)) as Partial<BackupHead>;
  const isHead =
    typeof head.name === 'string' &&
    typeof head.by === 'string' &&
    typeof head.time === 'string' &&
    Array.isArray(head.namespaces) &&
    Array.isArray(head.volumes) &&
    Number.isSafeInteger(head.parts);
  return isHead ? (head as BackupHead) : fail('DataCorrupt', 'a backup that says nothing known');
}

/** Takes objects and gives texts, none of them longer than a part may be. */
export class LineWriter {
  #text = '';
  #bytes: Uint8Array = new Uint8Array();
  count = 0;

  /** Parts that are full now. */
  add({ type, object }: BackupLine): readonly string[] {
    const { managedFields: _managed, ...metadata } = object.metadata as KubeObject['metadata'] & {
      readonly managedFields?: unknown;
    };
    const { group, version, plural, kind, namespaced } = type;
    const line = { type: { group, version, plural, kind, namespaced } };
    this.#text += `${JSON.stringify({ ...line, object: { ...object, metadata } })}\n`;
    this.count += 1;
    if (this.#text.length < batchLength) return [];
    this.#pack();
    return this.#cut(partBytes);
  }

  /** What is left. */
  finish(): readonly string[] {
    this.#pack();
    return this.#cut(1);
  }

  #pack(): void {
    if (this.#text !== '') this.#bytes = Buffer.concat([this.#bytes, gzipSync(this.#text)]);
    this.#text = '';
  }

  #cut(least: number): string[] {
    const parts: string[] = [];
    let at = 0;
    while (this.#bytes.length - at >= least) {
      const part = this.#bytes.subarray(at, at + partBytes);
      parts.push(Buffer.from(part).toString('base64'));
      at += part.length;
    }
    this.#bytes = this.#bytes.subarray(at);
    return parts;
  }
}

/** All objects, of all parts in their order. `DataCorrupt`. */
export function readLines(parts: readonly string[]): readonly BackupLine[] {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part, 'base64')));
  if (bytes.length === 0) return [];
  const lines = inflate(bytes, textMax).split('\n');
  return lines.filter((line) => line !== '').map((line) => parse(line) as BackupLine);
}

function unpack(content: string, most: number): string {
  return inflate(Buffer.from(content, 'base64'), most);
}

function inflate(bytes: Uint8Array, maxOutputLength: number): string {
  try {
    return gunzipSync(bytes, { maxOutputLength }).toString('utf8');
  } catch (error) {
    return fail('DataCorrupt', 'a backup in the repository is damaged, or too large', error);
  }
}

function parse(text: string): object {
  try {
    return JSON.parse(text) as object;
  } catch (error) {
    return fail('DataCorrupt', 'a backup in the repository is damaged', error);
  }
}
