import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiVersion, listOf, type VolumeObject } from '../api/objects.ts';
import { TransshipError } from '../base/errors.ts';
import { type Reason, reasons } from '../base/reasons.ts';
import {
  createFakeTerminal,
  createFakeWorld,
  type FakeAnswers,
  fakeNowMs,
  teleportObject,
  volumeObject,
} from './fake-ports.ts';
import { runCli } from './program.ts';

const show: FakeAnswers = { 'volume.show': () => volumeObject('db') };

test('wrong arguments exit 2, say why, and ask nothing of an agent', async () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['volume create db', /--size/],
    ['volume create db --size 10Gx', /BadSize/],
    ['volume create db --size 0', /BadSize/],
    ['volume create db --size 65Ti', /BadSize/],
    ['volume create db --size 1Gi --block-size 5Ki', /BadSize/],
    ['volume create DB --size 1Gi', /BadName/],
    ['volume create ../db --size 1Gi', /BadName/],
    ['volume clone db --at yesterday', /BadTime/],
    ['volume clone db --at 2027-01-01T00:00:00Z', /future/],
    ['volume clone db --at 5m --snapshot s', /BadArgument/],
    ['volume restore db', /--at TIME or --snapshot/],
    ['volume frobnicate', /unknown command/],
    ['volume', /sub-command/],
    ['bogus', /unknown command/],
    ['volume list --bogus', /unknown option/],
    ['volume list extra', /too many arguments/],
    ['volume show', /missing required argument/],
    ['-o xml volume list', /-o xml/],
    ['--cluster ../x volume list', /BadName/],
    ['teleport db --from east --rate fast', /rate/],
    ['teleport db --from east --timeout soon', /BadTime/],
    ['teleport db --from east --to east', /same/],
    ['cluster add', /--token/],
    ['history-policy create p', /BadPolicy/],
    ['history-policy create p --seconds ten', /BadTime/],
    ['up east east', /twice/],
    ['up east west --pool /x', /one cluster/],
    ['completion tcsh', /tcsh/],
  ];
  for (const [line, message] of wrong) {
    const { ports, terminal, calls } = createFakeWorld({});
    assert.equal(await runCli(line.split(' '), ports), 2, line);
    assert.match(terminal.written.err, message, line);
    assert.match(terminal.written.err, /^error: .*\n(?: {2}.*\n)* {2}reason: \w+\n {2}try: .*\n$/);
    assert.equal(terminal.written.out, '', line);
    assert.deepEqual(calls, [], line);
  }
});

test('sizes and names travel as bytes and names', async () => {
  const { ports, terminal, calls } = createFakeWorld({
    'volume.create': () => volumeObject('db'),
  });
  const line = 'volume create db --size 1.5Gi --block-size 16k --history-policy one-hour';
  assert.equal(await runCli(line.split(' '), ports), 0);
  assert.equal(terminal.written.out, 'volume/db created\n');
  assert.deepEqual(calls, [
    {
      cluster: 'east',
      name: 'volume.create',
      request: {
        name: 'db',
        sizeBytes: 1.5 * 2 ** 30,
        blockBytes: 16384,
        historyPolicy: 'one-hour',
      },
    },
  ]);
});

test('what is destructive needs --yes without a terminal', async () => {
  for (const line of [
    'volume delete db',
    'volume restore db --at 5m',
    'volume snapshot db s --delete',
    'volume resize db --size 1Gi --force',
    'volume export db /x --overwrite',
    'teleport cancel db',
    'cluster remove west',
    'history-policy delete p',
  ]) {
    const { ports, terminal, calls } = createFakeWorld({
      ...show,
      'teleport.show': () => teleportObject('db'),
    });
    assert.equal(await runCli(line.split(' '), ports), 2, line);
    assert.match(terminal.written.err, /needs --yes/, line);
    const asked = calls.filter(({ name }) => !name.endsWith('.show'));
    assert.deepEqual(asked, [], line);
  }
});

test('on a terminal it asks, and no is no', async () => {
  const answers: FakeAnswers = { ...show, 'volume.delete': () => volumeObject('db') };
  for (const [answer, code] of [
    ['n', 130],
    ['', 130],
    ['y', 0],
    ['YES', 0],
  ] as const) {
    const terminal = createFakeTerminal(true);
    terminal.answer = answer;
    const { ports, calls } = createFakeWorld(answers, { terminal });
    assert.equal(await runCli(['volume', 'delete', 'db'], ports), code, answer);
    assert.match(terminal.written.err, /volume\/db \(100Gi, 63\.4Gi used, 2 snapshots/);
    const deleted = calls.some(({ name }) => name === 'volume.delete');
    assert.equal(deleted, code === 0, answer);
  }
});

test('every reason of an agent has its exit code, its word and its remedy', async () => {
  for (const reason of Object.keys(reasons) as Reason[]) {
    const { ports, terminal } = createFakeWorld({
      'volume.list': () => {
        throw new TransshipError(reason, 'so it is');
      },
    });
    const code = await runCli(['volume', 'list'], ports);
    assert.equal(code !== 0, true, reason);
    assert.equal(
      terminal.written.err,
      `error: so it is\n  reason: ${reason}\n  try: ${reasons[reason].remedy}\n`,
    );
  }
});

test('the cluster is named, taken from the environment, or the only one', async () => {
  const answers: FakeAnswers = { 'volume.list': () => listOf<VolumeObject>('Volume', []) };
  const clusters = ['east', 'west'];
  const both = createFakeWorld(answers, { clusters });
  assert.equal(await runCli(['volume', 'list'], both.ports), 2);
  assert.match(both.terminal.written.err, /--cluster east\|west/);

  const named = createFakeWorld(answers, { clusters });
  assert.equal(await runCli(['volume', 'list', '--cluster', 'west'], named.ports), 0);
  assert.equal(named.calls[0]!.cluster, 'west');

  const environment = { TRANSSHIP_CLUSTER: 'east' };
  const set = createFakeWorld(answers, { clusters, environment });
  assert.equal(await runCli(['volume', 'list'], set.ports), 0);
  assert.equal(set.calls[0]!.cluster, 'east');
  assert.match(set.terminal.written.err, /No volumes yet/);

  const none = createFakeWorld(answers, { clusters: [] });
  assert.equal(await runCli(['volume', 'list'], none.ports), 1);
  const unknown = createFakeWorld(answers);
  assert.equal(await runCli(['volume', 'list', '-c', 'north'], unknown.ports), 1);
  assert.match(unknown.terminal.written.err, /'north' is not on this machine \(known: east\)/);
});

test('Ctrl-C stops watching, says that the work goes on, and exits 130', async () => {
  const world = createFakeWorld({
    'teleport.watch': (_request, onEvent) => {
      onEvent(teleportObject('db-a1'));
      queueMicrotask(() => world.terminal.interrupt());
      return new Promise(() => undefined);
    },
  });
  assert.equal(await runCli(['teleport', 'watch', 'db'], world.ports), 130);
  assert.match(world.terminal.written.err, /Interrupted; the teleport goes on; see it again with/);
  assert.equal(world.terminal.written.out, '');
});

test('a time-out exits 5 and says that it still runs', async () => {
  const { ports, terminal } = createFakeWorld({
    'teleport.start': () => teleportObject('db-a1'),
    'teleport.watch': () => new Promise(() => undefined),
  });
  const after = (_ms: number, run: () => void) => {
    queueMicrotask(run);
    return { cancel: () => undefined };
  };
  const impatient = { ...ports, clock: { ...ports.clock, after } };
  const line = 'teleport db --from west --to east --wait --timeout 10s';
  assert.equal(await runCli(line.split(' '), impatient), 5);
  assert.match(terminal.written.err, /reason: TimedOut/);
});

test('a teleport that fails while it is waited for fails the command', async () => {
  const failed = teleportObject('db-a1');
  const condition = {
    type: 'Ready',
    status: 'False',
    reason: 'SourceGone',
    message: 'the source no longer keeps the data',
    lastTransitionTime: new Date(fakeNowMs).toISOString(),
  } as const;
  const status = { ...failed.status, phase: 'Failed', conditions: [condition] } as const;
  const { ports, terminal } = createFakeWorld({
    'teleport.start': () => failed,
    'teleport.watch': () => ({ ...failed, status }),
  });
  assert.equal(await runCli('teleport db --from west --to east --wait'.split(' '), ports), 1);
  assert.match(terminal.written.err, /reason: SourceGone/);
});

test('a report that failed exits 3', async () => {
  const report = (passed: boolean) => ({
    kind: 'Report',
    apiVersion,
    metadata: { name: 'west' },
    passed,
    findings: [{ check: 'link', result: passed ? 'Passed' : 'Failed', message: 'so' }],
  });
  for (const passed of [true, false]) {
    const { ports } = createFakeWorld({ 'cluster.check': () => report(passed) });
    assert.equal(await runCli(['cluster', 'check', 'west'], ports), passed ? 0 : 3);
  }
});

test('the help of every command teaches and fits', async () => {
  const { ports, terminal } = createFakeWorld({});
  assert.equal(await runCli([], ports), 0);
  assert.match(terminal.written.out, /Examples:\n {2}# two clusters on this machine/);
  const again = createFakeWorld({}, { environment: { TRANSSHIP_INVOKED_AS: 'kubectl-transship' } });
  assert.equal(await runCli(['volume', 'create', '--help'], again.ports), 0);
  assert.match(again.terminal.written.out, /^Usage: kubectl transship volume create/);
});
