import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import type { Random } from '../base/ports.ts';
import { createLeaderElection, type LeaderElection } from './lease.ts';
import type { leases } from './resources.ts';
import { RecordingLog, testRandom, TestTime } from './testing.ts';
import { FakeServer } from './testing-server.ts';
import type { KubeTransport } from './transport.ts';
import { sleep } from '../base/sleep.ts';

const path = '/apis/coordination.k8s.io/v1/namespaces/ns/leases/controller';

interface Candidate {
  readonly name: string;
  readonly election: LeaderElection;
  readonly log: RecordingLog;
  /** When its work began and ended. */
  readonly told: string[];
  /** The work ends this long after it was told to. */
  windDownMs: number;
}

interface CandidateOptions {
  readonly transport: KubeTransport;
  readonly skewMs?: number;
  readonly seed?: number;
  readonly fails?: boolean;
}

function startCandidate(time: TestTime, name: string, options: CandidateOptions): Candidate {
  const { transport, skewMs = 0, seed = 1 } = options;
  const clock = time.clock(skewMs, seed * 1_000_000);
  const log = new RecordingLog();
  const connection = {
    cluster: 'east',
    transport,
    clock,
    random: testRandom(seed),
    log,
    counts: new Map(),
  };
  const told: string[] = [];
  const election = createLeaderElection({
    client: { connection },
    namespace: 'ns',
    name: 'controller',
    identity: name,
    onStarted: async (signal) => {
      told.push('started');
      if (options.fails === true) throw new TransshipError('DiskFailed', 'no disk');
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      await sleep(clock, candidate.windDownMs);
    },
    onStopped: () => void told.push('stopped'),
  });
  const candidate: Candidate = { name, election, log, told, windDownMs: 0 };
  return candidate;
}

const leadersOf = (candidates: readonly Candidate[]): string[] =>
  candidates.filter(({ election }) => election.isLeader()).map(({ name }) => name);

suite('a lease', () => {
  test('has one holder; when it stops cleanly, the next one follows at once', async () => {
    const time = new TestTime();
    const server = new FakeServer();
    const { transport } = server;
    const a = startCandidate(time, 'a', { transport });
    await time.advance(3000);
    const b = startCandidate(time, 'b', { transport, seed: 2, skewMs: -7_200_000 });
    await time.advance(60_000);
    assert.deepEqual(leadersOf([a, b]), ['a']);
    assert.equal(b.election.holder, 'a');
    a.windDownMs = 4000;
    const stopping = a.election.stop();
    await time.advance(3900);
    assert.deepEqual([a.told, b.told, leadersOf([a, b])], [['started'], [], ['a']]);
    await time.finish(stopping);
    await time.advance(2500);
    assert.deepEqual([a.told, b.told], [['started', 'stopped'], ['started']]);
    const spec = server.objects.get(path) as typeof leases.is;
    assert.equal(spec?.spec?.leaseTransitions, 1);
    assert.equal(spec?.spec?.leaseDurationSeconds, 15);
    await time.finish(b.election.stop());
    assert.equal(time.timers, 0);
  });

  test('passes on after a crash, not before the time is over', async () => {
    const time = new TestTime();
    const server = new FakeServer();
    let isCut = false;
    const a = startCandidate(time, 'a', {
      transport: (request) => {
        if (isCut) throw new TransshipError('ApiUnreachable', 'cut');
        return server.transport(request);
      },
    });
    await time.advance(1000);
    const b = startCandidate(time, 'b', { transport: server.transport, seed: 2 });
    await time.advance(20_000);
    isCut = true;
    const cutAtMs = time.nowMs;
    await time.until(() => !a.election.isLeader());
    assert.ok(time.nowMs - cutAtMs <= 10_000);
    assert.deepEqual(leadersOf([a, b]), []);
    await time.until(() => b.election.isLeader());
    assert.ok(time.nowMs - cutAtMs >= 12_000 && time.nowMs - cutAtMs <= 20_000);
    assert.deepEqual(a.told, ['started', 'stopped']);
    isCut = false;
    await time.advance(60_000);
    assert.deepEqual(leadersOf([a, b]), ['b']);
    await Promise.all([time.finish(a.election.stop()), time.finish(b.election.stop())]);
  });

  test('that is won while its candidate stops is given back, and nothing begins', async () => {
    const time = new TestTime();
    const server = new FakeServer();
    const { transport } = server;
    const slow = async (request: Parameters<typeof transport>[0]) => {
      const answer = await transport(request);
      await sleep(time.clock(0), 500);
      return answer;
    };
    const a = startCandidate(time, 'a', { transport: slow });
    await time.advance(700);
    await time.finish(a.election.stop());
    assert.deepEqual(a.told, []);
    const spec = server.objects.get(path) as typeof leases.is;
    assert.equal(spec?.spec?.holderIdentity, '');
  });

  test('is given back when the work fails, so that another may try', async () => {
    const time = new TestTime();
    const server = new FakeServer();
    const { transport } = server;
    const a = startCandidate(time, 'a', { transport, fails: true });
    const b = startCandidate(time, 'b', { transport, seed: 2 });
    await time.until(() => b.election.isLeader());
    assert.deepEqual(a.told.slice(0, 2), ['started', 'stopped']);
    assert.ok(a.log.lines.some(({ message }) => /no disk/.test(message)));
    await Promise.all([time.finish(a.election.stop()), time.finish(b.election.stop())]);
  });

  test('says once what is missing', async () => {
    const time = new TestTime();
    const a = startCandidate(time, 'a', {
      transport: () => Promise.reject(new TransshipError('Forbidden', 'needs the right to x')),
    });
    await time.advance(60_000);
    assert.deepEqual(
      a.log.lines.map(({ message }) => message),
      ['leader election: needs the right to x'],
    );
    await time.finish(a.election.stop());
  });
});

/**
 * Requests are lost, answers are lost, both come late; now and then nothing passes at all, most
 * often after an answer that was late already, because that is worst for who counts from there.
 */
function faulty(time: TestTime, server: FakeServer, random: Random): KubeTransport {
  const clock = time.clock();
  let cutUntilMs = 0;
  const delay = async (): Promise<number> => {
    const kind = random.fraction();
    const ms = random.fraction() * (kind < 0.05 ? 30_000 : kind < 0.15 ? 5000 : 300);
    await sleep(clock, ms);
    return ms;
  };
  const lose = (share: number): void => {
    if (random.fraction() < share) throw new TransshipError('ApiUnreachable', 'lost');
  };
  const cut = (share: number): void => {
    if (random.fraction() < share) cutUntilMs = time.nowMs + random.fraction() * 40_000;
  };
  return async (request) => {
    if (time.nowMs < cutUntilMs) lose(1);
    cut(0.01);
    lose(0.05);
    await delay();
    // Whoever asked may have given up: the request arrives all the same.
    const response = await server.transport({ ...request, signal: new AbortController().signal });
    lose(0.05);
    if ((await delay()) > 1000 && request.method === 'PUT') cut(0.7);
    return response;
  };
}

test('never two leaders: skewed clocks, late and lost requests, many seeds', async () => {
  let handovers = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const time = new TestTime();
    const server = new FakeServer();
    const random = testRandom(seed);
    const candidates = ['a', 'b', 'c'].map((name, i) =>
      startCandidate(time, name, {
        transport: faulty(time, server, random),
        skewMs: Math.floor((random.fraction() - 0.5) * 1e9),
        seed: seed * 10 + i,
      }),
    );
    for (const candidate of candidates) candidate.windDownMs = random.fraction() * 20_000;
    time.check = () => {
      const leaders = leadersOf(candidates);
      assert.ok(
        leaders.length <= 1,
        `seed ${seed}, ${time.nowMs} ms: ${leaders.join(' and ')} lead`,
      );
    };
    await time.advance(300_000);
    const told = candidates.flatMap((candidate) => candidate.told);
    const starts = told.filter((word) => word === 'started').length;
    assert.ok(starts > 0, `seed ${seed}: nobody led`);
    handovers += starts - 1;
    await Promise.all(candidates.map(({ election }) => time.finish(election.stop())));
    time.check();
  }
  assert.ok(handovers > 12, `${handovers} handovers: the faults were too kind`);
});
