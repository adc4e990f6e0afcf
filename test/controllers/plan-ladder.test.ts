import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  actionsFor,
  chooseMethod,
  formatChangesOf,
  type Method,
  type Rung,
} from '../../src/controllers/plan/method-ladder.ts';

const GiB = 1024 ** 3;

/** A volume of ours that stays as it is in another cluster. */
const base: Rung = {
  driver: 'transship.dev',
  volumeMode: 'Filesystem',
  targetMode: 'Filesystem',
  sizeBytes: GiB,
  targetBytes: GiB,
  targetProvisioner: 'transship.dev',
  isSameCluster: false,
  formatChanges: [],
  capabilities: { source: [], destination: [] },
  chosen: undefined,
};

interface Row {
  readonly what: string;
  readonly rung: Partial<Rung>;
  readonly method: Method | undefined;
  /** Reasons in the order of the ladder. */
  readonly declined: readonly string[];
}

const foreign = { driver: 'ebs.csi.aws.com', targetProvisioner: 'ebs.csi.aws.com' };
const raw = { volumeMode: 'Block', targetMode: 'Block' } as const;
const snapshots = { source: ['Snapshots'], destination: ['Snapshots'] };

const rows: readonly Row[] = [
  { what: 'ours to ours', rung: {}, method: 'Teleport', declined: ['NotShared', 'HasFiles'] },
  {
    what: 'ours in the same cluster',
    rung: { isSameCluster: true },
    method: 'Teleport',
    declined: ['NoSnapshots', 'HasFiles'],
  },
  {
    what: 'ours in the same cluster that becomes another file system',
    rung: { isSameCluster: true, formatChanges: ['file system'] },
    method: 'Filesystem',
    declined: ['FormatChanges', 'NoSnapshots', 'HasFiles'],
  },
  {
    what: 'ours to a class of others',
    rung: { targetProvisioner: 'ebs.csi.aws.com' },
    method: 'Filesystem',
    declined: ['ForeignClass', 'OtherDriver', 'HasFiles'],
  },
  {
    what: 'ours, larger',
    rung: { targetBytes: 2 * GiB },
    method: 'Filesystem',
    declined: ['SizeChanges', 'NotShared', 'HasFiles'],
  },
  {
    what: 'foreign with snapshots in the same cluster',
    rung: { ...foreign, isSameCluster: true, capabilities: snapshots },
    method: 'Snapshot',
    declined: ['ForeignSource', 'HasFiles'],
  },
  {
    what: 'foreign without snapshots in the same cluster',
    rung: { ...foreign, isSameCluster: true },
    method: 'Filesystem',
    declined: ['ForeignSource', 'NoSnapshots', 'HasFiles'],
  },
  {
    what: 'a foreign raw device',
    rung: { ...foreign, ...raw },
    method: 'Block',
    declined: ['ForeignSource', 'NotShared', 'RawDevice'],
  },
  {
    what: 'a foreign raw device that would shrink',
    rung: { ...foreign, ...raw, targetBytes: GiB / 2 },
    method: undefined,
    declined: ['ForeignSource', 'NotShared', 'Shrinks', 'RawDevice'],
  },
  {
    what: 'files that would become a device',
    rung: { ...foreign, targetMode: 'Block' },
    method: undefined,
    declined: ['ForeignSource', 'NotShared', 'HasFiles', 'ModeChanges'],
  },
  {
    what: 'no class at the destination',
    rung: { targetProvisioner: undefined },
    method: undefined,
    declined: ['NoClass', 'NoClass', 'NoClass', 'NoClass'],
  },
  {
    what: 'a choice that works is honoured',
    rung: { chosen: 'Filesystem' },
    method: 'Filesystem',
    declined: ['NotShared', 'HasFiles'],
  },
  {
    what: 'a choice that does not work is refused, not replaced',
    rung: { chosen: 'Block' },
    method: undefined,
    declined: ['NotShared', 'HasFiles'],
  },
];

for (const { what, rung, method, declined } of rows) {
  test(`the method for a volume: ${what}`, () => {
    const choice = chooseMethod({ ...base, ...rung });
    assert.equal(choice.method, method);
    assert.deepEqual(
      choice.declined.map(({ reason }) => reason),
      declined,
    );
    for (const { message } of choice.declined) assert.notEqual(message, '');
  });
}

test('what can be done with a volume depends on where it is', () => {
  assert.deepEqual(actionsFor('hostPath', false), ['Skip']);
  assert.deepEqual(actionsFor('nfs', false), ['Copy', 'Move', 'Skip']);
  assert.deepEqual(actionsFor('nfs', true), ['Copy', 'Skip']);
  assert.deepEqual(actionsFor('ebs.csi.aws.com', false), ['Copy', 'Skip']);
});

test('what classes say about what is on a device', () => {
  const ofClass = (parameters: Readonly<Record<string, string>>) => ({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'one' },
    provisioner: 'transship.dev',
    parameters,
  });
  const usual = ofClass({ type: 'ext4', blockSize: '64Ki' });
  assert.deepEqual(formatChangesOf(usual, ofClass({ historyPolicy: 'one-hour' })), []);
  const other = ofClass({ type: 'xfs', blockSize: '4Ki' });
  assert.deepEqual(formatChangesOf(usual, other), ['file system', 'blocks']);
  assert.deepEqual(formatChangesOf(undefined, other), []);
});
