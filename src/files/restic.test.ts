import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { entryOf, manifestLine } from './manifest.ts';
import { resticPod } from './restic-pods.ts';
import type { RepositoryPlace } from '../api/repository-place.ts';
import { parseBackupConfig, parseRestoreConfig } from './restic-config.ts';
import {
  commonWords,
  environmentOf,
  judgeRestic,
  parseResticLine,
  patternOf,
} from './restic-words.ts';
import { changesBetween, type Lines } from './tree-changes.ts';

const bucket: RepositoryPlace = {
  endpoint: 'https://s3.example.org/',
  bucket: 'moves',
  region: 'eu-1',
  prefix: 'team/transship-volumes/1',
  accessKeyId: 'THE-ID',
  secretAccessKey: 'THE-SECRET',
  caBundle: 'PEM',
  forcePathStyle: true,
};
const told = {
  repository: bucket,
  password: '0123456789abcdef',
  state: '/state',
  volume: '/volume',
  pass: 'Final',
};
const files = { password: '/state/password', cache: '/state/cache', caBundle: '/state/ca.crt' };

test('a configuration comes back as it was written', () => {
  const backup = { ...told, transfer: 'uid', claim: 'east/shop/data', bytesPerSecond: 5 };
  assert.deepEqual(parseBackupConfig(JSON.stringify(backup)), backup);
  const restore = { ...told, saved: { snapshot: '0123abcd', list: '89abcdef' } };
  assert.deepEqual(parseRestoreConfig(JSON.stringify(restore)), restore);
});

test('the field that is wrong is named, and no secret is', () => {
  const restore = { ...told, saved: { snapshot: '0123abcd', list: '89abcdef' } };
  const wrong: readonly [RegExp, object][] = [
    [/pass/, { pass: 'Some' }],
    [/password/, { password: 'two words that are long' }],
    [/secretAccessKey/, { repository: { ...bucket, secretAccessKey: 'THE SECRET' } }],
    [/directory/, { repository: { directory: 'here' } }],
    [/snapshot/, { saved: { snapshot: '--help', list: '89abcdef' } }],
    [/volume/, { volume: 'volume' }],
    [/bytesPerSecond/, { bytesPerSecond: -1 }],
  ];
  for (const [field, change] of wrong) {
    assert.throws(
      () => parseRestoreConfig(JSON.stringify({ ...restore, ...change })),
      (error) =>
        error instanceof TransshipError &&
        error.reason === 'BadArgument' &&
        field.test(error.message) &&
        !/THE|two words/.test(error.message),
    );
  }
});

test('secrets are in the environment and in files, never among the words', () => {
  const words = commonWords(bucket, files, 4096);
  assert.ok(words.includes('--repo=s3:https://s3.example.org/moves/team/transship-volumes/1'));
  assert.ok(words.includes('--option=s3.bucket-lookup=path'));
  assert.ok(words.includes('--cacert=/state/ca.crt'));
  assert.ok(words.includes('--limit-upload=4'));
  assert.ok(!words.some((word) => /THE-/.test(word)), words.join(' '));
  assert.equal(environmentOf(bucket)['AWS_SECRET_ACCESS_KEY'], 'THE-SECRET');
});

test('what restic says in JSON is understood, other lines are not taken for it', () => {
  const status = '{"message_type":"status","percent_done":0.625,"files_done":2,"bytes_done":5}';
  const progress = { kind: 'progress', percent: 62, bytes: 5, files: 2 };
  assert.deepEqual(parseResticLine(status), progress);
  const end =
    '{"message_type":"summary","data_added":7,"total_bytes_processed":8,"snapshot_id":"69079bda"}';
  const summary = { kind: 'summary', snapshot: '69079bda', totalBytes: 8, addedBytes: 7 };
  assert.deepEqual(parseResticLine(end), summary);
  assert.equal(parseResticLine('{"message_type":"sta'), undefined);
  assert.equal(parseResticLine('unchanged'), undefined);
});

test('ends are judged: what another attempt may mend is tried again', () => {
  const writesTo = 'repository' as const;
  const judge = (code: number, stderr: string, pass: 'Stage' | 'Final' = 'Final') =>
    judgeRestic({ code, stderr, pass, writesTo });
  const unread = '{"message_type":"error","error":{},"during":"archival","item":"/volume/a"}';
  assert.equal(judge(3, unread, 'Stage').kind, 'Complete');
  const last = judge(3, unread);
  assert.ok(last.kind === 'Failed' && last.message.includes('/volume/a'), JSON.stringify(last));
  assert.equal(judge(1, 'Fatal: dial tcp: connection refused').kind, 'Retry');
  const wrong = judge(1, 'Fatal: wrong password or no key found');
  assert.ok(wrong.kind === 'Failed' && wrong.reason === 'NotTrusted');
  const full = judge(1, 'write: no space left on device');
  assert.ok(full.kind === 'Failed' && full.reason === 'PoolFull');
});

test('a path is a pattern of itself alone', () => {
  assert.equal(patternOf('a/[b]*?\\'), String.raw`/a/\[b\]\*\?\\`);
});

const line = (path: string, more: object = {}): string =>
  manifestLine(
    {
      path,
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: 1,
      mtimeSeconds: 1,
      mtimeNs: '1000000001',
      ...more,
    },
    {
      verify: false,
      excludes: [],
      ignoreOwners: false,
      ignoreDirectoryTimes: false,
      exactTimes: true,
    },
  ).trimEnd();

const directory = { type: 'directory' };

async function* each(lines: readonly string[]): Lines {
  yield* lines;
}

const changes = (source: readonly string[], destination: readonly string[]) =>
  changesBetween(
    () => each(source),
    () => each(destination),
  );

test('a line says the same as its entry', () => {
  const text = line('a', { linkedTo: 'b', sha256: 'ff' });
  const { mtimeSeconds, mtimeNs, linkedTo } = entryOf(text);
  assert.deepEqual([mtimeSeconds, mtimeNs, linkedTo], [1, '1000000001', 'b']);
});

test('what differs by a nanosecond is fetched, and what is gone is removed', async () => {
  const source = [line('', directory), line('a'), line('b'), line('d', directory), line('d/x')];
  const later = line('b', { mtimeNs: '1000000002' });
  const found = [line('', directory), line('a'), later, line('d'), line('e'), line('f')];
  const { remove, bring, isMost } = await changes(source, found);
  assert.deepEqual(remove, ['b', 'd', 'e', 'f']);
  assert.deepEqual(bring, ['b', 'd']);
  assert.equal(isMost, false);
  assert.deepEqual((await changes(source, source)).bring, []);
});

test('all names of a file that changed are made anew together', async () => {
  const names = (size: number) => [
    line('', directory),
    line('a', { size }),
    line('b'),
    line('c', { size, linkedTo: 'a' }),
  ];
  const before = [line('', directory), line('a', { size: 2 }), line('b'), line('c', { size: 3 })];
  const { remove, bring } = await changes(names(2), before);
  assert.deepEqual([...new Set(remove)].toSorted(), ['a', 'c']);
  assert.deepEqual([...bring].toSorted(), ['a', 'c']);
});

test('where most differs everything is fetched', async () => {
  const all = Array.from({ length: 2000 }, (_, at) => line(`${at + 1000}`));
  const { isMost, bringBytes } = await changes(
    [line('', directory), ...all],
    [line('', directory)],
  );
  assert.deepEqual([isMost, bringBytes], [true, 2000]);
});

test('the pod that saves mounts the volume read-only, the other one does not', () => {
  const options = {
    name: 'vt-1-client',
    namespace: 'shop',
    image: 'transship',
    secret: 'vt-1-client',
    identity: {},
    claim: 'data',
  };
  const mountOf = (work: 'backup' | 'restore') =>
    resticPod(work, options).spec?.containers[0]?.volumeMounts?.find(
      ({ name }) => name === 'volume',
    );
  assert.equal(mountOf('backup')?.readOnly, true);
  assert.equal(mountOf('restore')?.readOnly, undefined);
});
