// The suite by which CSI drivers are judged, against ours on a real agent with real devices.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ensureSanity } from '../../../tools/csi/sanity.ts';
import { startCloud } from '../cloud.ts';
import { missing, scratch } from '../tools.ts';
import { startDriver } from './driver.ts';

const isRoot = process.getuid?.() === 0 && existsSync('/dev/fuse');
const reason = isRoot
  ? missing('nbdfuse', 'losetup', 'mkfs.ext4', 'blkid')
  : 'needs root and /dev/fuse to attach volumes';

/** Cases that say themselves that they do not apply, by a word of theirs; and why it is so. */
const exceptions: readonly (readonly [word: RegExp, why: string])[] = [
  [/node max attach limit/, 'there is no limit: loop devices are made as needed'],
  [/already published but is incompatible/, 'a volume is published to one node, for writing'],
  [/detect volumes added between pages/, 'pending in the suite itself'],
];

interface Spec {
  readonly State: string;
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeText: string;
  readonly Failure?: { readonly Message: string };
}

const nameOf = (spec: Spec): string =>
  [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ');

/** However long it takes; what failed is in its report. */
function toItsEnd(program: string, ...words: readonly string[]): Promise<void> {
  const child = spawn(program, words, { stdio: 'ignore' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
}

test('the CSI sanity suite', { skip: reason, timeout: 20 * 60_000 }, async (t) => {
  const suite = await ensureSanity();
  if ('reason' in suite) return t.skip(suite.reason);
  await using cloud = await startCloud(['east'], { planes: true });
  using place = scratch();
  const at = (name: string): string => join(place.path, name);
  const endpoint = `unix://${at('csi.sock')}`;
  await using _driver = await startDriver(cloud, endpoint);
  const report = at('report.json');
  writeFileSync(at('mutable.yaml'), 'historyPolicy: one-hour\n');
  await toItsEnd(
    suite.path,
    `--csi.endpoint=${endpoint}`,
    `--csi.mountdir=${at('target')}`,
    `--csi.stagingdir=${at('staging')}`,
    `--csi.testvolumemutableparameters=${at('mutable.yaml')}`,
    `--ginkgo.json-report=${report}`,
    '--ginkgo.no-color',
  );
  const [{ SpecReports: specs }] = JSON.parse(readFileSync(report, 'utf8')) as [
    { SpecReports: readonly Spec[] },
  ];
  const failed = specs.filter(({ State }) => !['passed', 'skipped', 'pending'].includes(State));
  const told = failed.map((spec) => `${nameOf(spec)}: ${spec.Failure?.Message}`);
  assert.deepEqual(told, []);
  const left = specs.filter(({ State }) => State !== 'passed').map(nameOf);
  const unexplained = left.filter((name) => !exceptions.some(([word]) => word.test(name)));
  assert.deepEqual(unexplained, [], 'a case that is left out has a reason here');
  assert.ok(specs.length - left.length >= 80, `${specs.length - left.length} cases ran`);
  // Nothing of it stays: no volume, no device, no mount.
  const { items } = await cloud.adopt('east').call('volume.list', {});
  assert.deepEqual(items, []);
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(place.path));
  rmSync(at('staging'), { recursive: true, force: true });
});
