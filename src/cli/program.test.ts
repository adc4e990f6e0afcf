import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiVersion, type JobObject, listOf } from '../api/objects.ts';
import { TransshipError } from '../base/errors.ts';
import { type Reason, reasons } from '../base/reasons.ts';
import { createFakeWorld, type FakeAnswers } from './fake-ports.ts';
import { runCli } from './program.ts';

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
    ['teleport db --claim data --from east --to west', /VOLUME, or --claim/],
    ['teleport --from east --to west', /VOLUME, or --claim/],
    ['teleport --claim a/b/c --from east --to west', /NAMESPACE\/NAME/],
    ['teleport db --from east --to west --storage-class fast', /for claims/],
    ['teleport db --from East --to west', /BadName/],
    ['volume resize db --size 1Gi --force', /unknown option/],
    ['cluster add west --token x', /leave out its name/],
    ['cluster add --context x', /name of a cluster/],
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

test('what is destructive needs --yes without a terminal', async () => {
  for (const line of [
    'volume restore db --at 5m',
    'volume snapshot db s --delete',
    'volume export db /x --overwrite',
    'cluster remove west',
    'history-policy delete p',
  ]) {
    const { ports, terminal, calls } = createFakeWorld({});
    assert.equal(await runCli(line.split(' '), ports), 2, line);
    assert.match(terminal.written.err, /needs --yes/, line);
    assert.deepEqual(calls, [], line);
  }
});

test('every reason of an agent has its exit code, its word and its remedy', async () => {
  for (const reason of Object.keys(reasons) as Reason[]) {
    const { ports, terminal } = createFakeWorld({
      'job.list': () => {
        throw new TransshipError(reason, 'so it is');
      },
    });
    const code = await runCli(['job', 'list'], ports);
    assert.equal(code !== 0, true, reason);
    assert.equal(
      terminal.written.err,
      `error: so it is\n  reason: ${reason}\n  try: ${reasons[reason].remedy}\n`,
    );
  }
});

test('the cluster is named, taken from the environment, or the only one', async () => {
  const answers: FakeAnswers = { 'job.list': () => listOf<JobObject>('Job', []) };
  const clusters = ['east', 'west'];
  const both = createFakeWorld(answers, { clusters });
  assert.equal(await runCli(['job', 'list'], both.ports), 2);
  assert.match(both.terminal.written.err, /--cluster east\|west/);

  const named = createFakeWorld(answers, { clusters });
  assert.equal(await runCli(['job', 'list', '--cluster', 'west'], named.ports), 0);
  assert.equal(named.calls[0]!.cluster, 'west');

  const environment = { TRANSSHIP_CLUSTER: 'east' };
  const set = createFakeWorld(answers, { clusters, environment });
  assert.equal(await runCli(['job', 'list'], set.ports), 0);
  assert.equal(set.calls[0]!.cluster, 'east');
  assert.match(set.terminal.written.err, /No jobs/);

  const none = createFakeWorld(answers, { clusters: [] });
  assert.equal(await runCli(['job', 'list'], none.ports), 1);
  const unknown = createFakeWorld(answers);
  assert.equal(await runCli(['job', 'list', '-c', 'north'], unknown.ports), 1);
  assert.match(unknown.terminal.written.err, /'north' is not on this machine \(known: east\)/);
});

test('--version answers, and stays an option of those commands that have it', async () => {
  const { ports, terminal } = createFakeWorld({});
  assert.equal(await runCli(['--version'], ports), 0);
  assert.equal(terminal.written.out, `transship ${ports.version}\n`);
  const other = createFakeWorld({});
  assert.equal(await runCli(['volume', 'list', '--version'], other.ports), 2);
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

test('without an API server, a command of objects says how to start one', async () => {
  for (const line of [
    'volume list',
    'teleport db --from east --to west',
    'get pods',
    'pool show',
  ]) {
    const { ports, terminal } = createFakeWorld({}, { clusters: ['east', 'west'] });
    assert.equal(await runCli([...line.split(' '), '-c', 'west'], ports), 1, line);
    assert.match(terminal.written.err, /reason: ApiUnreachable/);
  }
});
