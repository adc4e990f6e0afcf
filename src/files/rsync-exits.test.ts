import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeEnd, type RsyncEnd } from './rsync-exits.ts';

function judge(code: number | undefined, changes: Partial<RsyncEnd> = {}) {
  return judgeEnd({ code, stderr: '', tunnelLog: '', pass: 'Final', root: true, ...changes });
}

test('a lost link is tried again, whatever its code', () => {
  for (const code of [10, 12, 30, 35, 255]) {
    const outcome = judge(code);
    assert.ok(outcome.kind === 'Retry' && outcome.reason === 'SourceUnreachable', `${code}`);
  }
  assert.equal(judge(undefined).kind, 'Retry');
});

test('a full destination is final, with what to do', () => {
  const stderr = 'rsync: [receiver] write failed on "/a" (in v): No space left on device (28)\n';
  for (const code of [11, 12, 23]) {
    const outcome = judge(code, { stderr });
    assert.ok(outcome.kind === 'Failed' && outcome.reason === 'PoolFull');
    assert.match(outcome.remedy ?? '', /claim larger/);
  }
  const other = judge(11, { stderr: 'rsync: write failed: Input/output error (5)' });
  assert.ok(other.kind === 'Failed' && other.reason === 'DiskFailed');
  assert.match(other.message, /Input\/output/);
});

test('vanished files are a note in a stage and an error at the end', () => {
  const stderr = 'file has vanished: "/data/a"\nrsync warning: some files vanished (code 24)\n';
  const stage = judge(24, { stderr, pass: 'Stage' });
  assert.ok(stage.kind === 'Complete' && stage.notes[0]?.includes('/data/a') === true);
  const final = judge(24, { stderr });
  assert.ok(final.kind === 'Failed' && final.reason === 'InUse');
  assert.match(final.message, /\/data\/a/);
});

test('a file that was skipped fails the pass and is named, in a stage too', () => {
  const stderr = 'rsync: [sender] opendir "/data/db" failed: Permission denied (13)\n';
  for (const pass of ['Stage', 'Final'] as const) {
    const outcome = judge(23, { stderr, pass, root: false });
    assert.ok(outcome.kind === 'Failed' && outcome.reason === 'Forbidden');
    assert.match(outcome.message, /\/data\/db/);
    assert.match(outcome.remedy ?? '', /as root/);
  }
  const other = judge(23, { stderr: 'rsync: [sender] read errors mapping "/x": I/O error (5)' });
  assert.ok(other.kind === 'Failed' && other.message.includes('/x'));
});

test("the volume's own directory may keep its times where the mover is not root", () => {
  const own =
    'rsync: [generator] failed to set times on "/." (in v): Operation not permitted (1)\n';
  assert.equal(judge(23, { stderr: own, root: false }).kind, 'Complete');
  assert.equal(judge(23, { stderr: own, root: true }).kind, 'Failed');
  const more = `${own}rsync: [sender] opendir "/db" failed: Permission denied (13)\n`;
  assert.equal(judge(23, { stderr: more, root: false }).kind, 'Failed');
  assert.equal(judge(23, { root: false }).kind, 'Failed');
});

test('a certificate that is refused is final, a server that is busy is not', () => {
  const refused = judge(12, {
    tunnelLog: 'SSL_read: error:0A000418:SSL routines::tlsv1 alert unknown ca',
  });
  assert.ok(refused.kind === 'Failed' && refused.reason === 'NotTrusted');
  const busy = judge(5, { stderr: '@ERROR: max connections (1) reached -- try again later' });
  assert.ok(busy.kind === 'Retry' && busy.reason === 'InUse');
  const unknown = judge(5, { stderr: "@ERROR: Unknown module 'b'" });
  assert.ok(unknown.kind === 'Failed' && unknown.message.includes("Unknown module 'b'"));
  const route = judge(10, { tunnelLog: 'LOG3[0]: s_connect: connect: No route to host (113)' });
  assert.ok(route.kind === 'Retry' && route.message.includes('No route to host'));
});
