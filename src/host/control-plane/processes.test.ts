import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, suite, test } from 'node:test';
import type { Attempt, LogOptions, ProcessSpec } from '../../embedded/runtime/ports.ts';
import { type HostProcesses, createProcesses } from './processes.ts';
import { isAlive, parseStat, processesWith } from './processes-table.ts';

const attempt: Attempt = { pod: '11111111-2222', container: 'main', number: 0 };
const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
const isRoot = process.getuid?.() === 0;

function specOf(script: string, more: Partial<ProcessSpec> = {}): ProcessSpec {
  const none = { workingDirectory: undefined, user: undefined, group: undefined };
  return { argv: ['sh', '-c', script], env, mounts: [], ...none, ...more };
}

const wholeLog: LogOptions = {
  follow: false,
  tailLines: undefined,
  sinceMs: undefined,
  timestamps: false,
  limitBytes: undefined,
  signal: undefined,
};

/** A directory of its own for each test, and what runs from it. */
class Place {
  root = '';
  processes!: HostProcesses;

  open(mounting?: 'link'): void {
    const way = mounting === undefined ? {} : { mounting };
    this.processes = this.host(this.root, way);
  }

  host(root: string, more: { readonly mounting?: 'link' } = {}): HostProcesses {
    const mountPoints = path.join(this.root, 'mount-points');
    return createProcesses({ root, foreignMounts: [], mountPoints, ...more });
  }

  begin(): void {
    this.root = fs.mkdtempSync(path.join(os.tmpdir(), 'transship-processes-'));
    this.open();
  }

  async end(): Promise<void> {
    for (const pod of this.processes.pods()) await this.processes.remove(pod);
    this.processes.close();
    fs.rmSync(this.root, { recursive: true });
  }
}

const place = new Place();

beforeEach(() => place.begin());
afterEach(() => place.end());

async function until(what: () => boolean): Promise<void> {
  while (!what()) await pause(3);
}

async function ended(one = attempt): Promise<number> {
  await until(() => place.processes.look(one).state !== 'running');
  const state = place.processes.look(one);
  assert.equal(state.state, 'exited');
  return state.exitCode;
}

async function logText(options: Partial<LogOptions> = {}, one = attempt): Promise<string> {
  let text = '';
  for await (const bytes of place.processes.readLog(one, { ...wholeLog, ...options })) {
    text += Buffer.from(bytes).toString();
  }
  return text;
}

suite('processes', () => {
  test('run with their environment, log and exit code', async () => {
    const heard: string[] = [];
    place.processes.onExit((pod) => heard.push(pod));
    await place.processes.start(
      attempt,
      specOf('echo "$A $HOME"; exit 3', { env: { ...env, A: "it's" } }),
    );
    assert.equal(await ended(), 3);
    assert.equal(await logText(), "it's \n");
    await until(() => heard.length > 0);
    assert.deepEqual([...place.processes.attempts(attempt.pod)], [['main', 0]]);
  });

  test('that never began are nothing; those that cannot start exit with 127 or 128', async () => {
    assert.deepEqual(place.processes.look(attempt), { state: 'none' });
    await place.processes.start(attempt, { ...specOf(''), argv: ['/nonexistent/program'] });
    assert.equal(await ended(), 127);
    const next = { ...attempt, number: 1 };
    await place.processes.start(next, specOf('true', { workingDirectory: '/nonexistent' }));
    assert.equal(await ended(next), 128);
    assert.match(await logText({}, next), /cannot enter \/nonexistent/);
  });

  test('end with a signal, and nothing they started survives them', async () => {
    const script =
      'trap "" TERM; setsid sleep 1000 & sleep 1000 & echo up; while :; do sleep 1; done';
    await place.processes.start(attempt, specOf(script));
    await until(() => fs.readFileSync(logFile(), 'utf8') === 'up\n');
    const mark = `TRANSSHIP_CONTAINER=${attempt.pod}/main/0`;
    await until(() => processesWith(mark).length >= 3);
    place.processes.signal(attempt, 'SIGTERM');
    assert.equal(place.processes.look(attempt).state, 'running');
    place.processes.signal(attempt, 'SIGKILL');
    assert.equal(await ended(), 137);
    await until(() => processesWith(mark).length === 0);
  });

  test('that handle the signal end with their own code', async () => {
    await place.processes.start(
      attempt,
      specOf('trap "exit 7" TERM; echo up; while :; do sleep 0.01; done'),
    );
    await until(() => fs.readFileSync(logFile(), 'utf8') === 'up\n');
    place.processes.signal(attempt, 'SIGTERM');
    assert.equal(await ended(), 7);
  });

  test('are taken over by the next control plane, which sees their end', async () => {
    await place.processes.start(
      attempt,
      specOf('while [ ! -e "$STOP" ]; do sleep 0.01; done; exit 5', {
        env: { ...env, STOP: path.join(place.root, 'stop') },
      }),
    );
    place.processes.close();
    place.open();
    assert.equal(place.processes.look(attempt).state, 'running');
    const heard: string[] = [];
    place.processes.onExit((pod) => heard.push(pod));
    fs.writeFileSync(path.join(place.root, 'stop'), '');
    await until(() => heard.length > 0);
    assert.equal(await ended(), 5);
  });

  test('whose starter was killed before they said who they are never run', async () => {
    const directory = path.join(place.root, 'pods', attempt.pod, 'containers', 'main', '0');
    fs.mkdirSync(directory, { recursive: true });
    const claim = `mkdir '${directory}/claimed' 2>/dev/null || exit 0`;
    const script = `${claim}\ntouch '${place.root}/ran'\n`;
    fs.writeFileSync(path.join(directory, 'run.sh'), script);
    const state = place.processes.look(attempt);
    assert.equal(state.state, 'exited');
    const late = spawn('sh', [path.join(directory, 'run.sh')]);
    await once(late, 'exit');
    assert.equal(fs.existsSync(path.join(place.root, 'ran')), false);
  });

  test('run commands beside them, for a limited time', async () => {
    await place.processes.start(attempt, specOf('sleep 1000'));
    const asked = { env, timeoutMs: 20_000 };
    const said = await place.processes.exec(attempt, ['sh', '-c', 'echo here; exit 4'], asked);
    assert.deepEqual(said, { exitCode: 4, output: 'here\n' });
    await assert.rejects(
      place.processes.exec(attempt, ['sleep', '1000'], { env, timeoutMs: 20 }),
      /timed out/,
    );
  });
});

function logFile(): string {
  return path.join(place.root, 'pods', attempt.pod, 'containers', 'main', '0', 'log');
}

suite('logs', () => {
  test('are not there before the first run', async () => {
    await assert.rejects(logText(), /no log/);
  });

  test('can be cut to the last lines, and have times', async () => {
    await place.processes.start(attempt, specOf('echo one; echo two; printf three'));
    await ended();
    assert.equal(await logText({ tailLines: 2 }), 'two\nthree');
    assert.equal(await logText({ limitBytes: 5 }), 'one\nt');
    assert.match(await logText({ timestamps: true, tailLines: 1 }), /^\d{4}-.*Z three$/);
    assert.equal(await logText({ sinceMs: Date.now() + 60_000 }), '');
  });

  test('are followed until the process ends', async () => {
    const script = 'echo one; while [ ! -e "$GO" ]; do sleep 0.01; done; echo two';
    await place.processes.start(
      attempt,
      specOf(script, { env: { ...env, GO: path.join(place.root, 'go') } }),
    );
    let text = '';
    for await (const bytes of place.processes.readLog(attempt, { ...wholeLog, follow: true })) {
      text += Buffer.from(bytes).toString();
      if (text === 'one\n') fs.writeFileSync(path.join(place.root, 'go'), '');
    }
    assert.equal(text, 'one\ntwo\n');
  });
});

suite('mounts', () => {
  test('are at their path for the container alone, and leave nothing', {
    skip: !isRoot,
  }, async () => {
    assert.equal(place.processes.mounting, 'bind');
    const source = place.processes.files.makeDirectory(attempt.pod, 'data');
    fs.writeFileSync(path.join(source, 'file'), 'content');
    const target = path.join(place.root, 'made/for/it');
    const mounts = [{ source, target, readOnly: true }];
    await place.processes.start(
      attempt,
      specOf(`cat ${target}/file; touch ${target}/x || exit 9`, { mounts }),
    );
    assert.equal(await ended(), 9);
    assert.match(await logText(), /^content/);
    assert.deepEqual(fs.readdirSync(target), []);
    await place.processes.remove(attempt.pod);
    assert.equal(fs.existsSync(path.join(place.root, 'made')), false);
  });

  test("stay when another cluster's pod had its mount at the same place", {
    skip: !isRoot,
  }, async () => {
    const other = place.host(path.join(place.root, 'other'));
    try {
      const target = path.join(place.root, 'data');
      const start = async (processes: HostProcesses, one: Attempt, script: string) => {
        const source = processes.files.makeDirectory(one.pod, 'data');
        fs.writeFileSync(path.join(source, 'file'), one.pod);
        const mounts = [{ source, target, readOnly: false }];
        await processes.start(one, specOf(script, { mounts }));
      };
      await start(other, { ...attempt, pod: 'other' }, 'exit 0');
      const go = path.join(place.root, 'go');
      const loop = `echo ready; while [ ! -e ${go} ]; do sleep 0.01; done; cat ${target}/file`;
      await start(place.processes, attempt, loop);
      await until(() => fs.readFileSync(logFile(), 'utf8') !== '');
      await other.remove('other');
      fs.writeFileSync(go, '');
      assert.equal(await ended(), 0);
      assert.equal(await logText(), `ready\n${attempt.pod}`);
      await place.processes.remove(attempt.pod);
      assert.equal(fs.existsSync(target), false);
    } finally {
      other.close();
    }
  });

  test('are told where they are, not where the host has them', { skip: !isRoot }, async () => {
    const source = place.processes.files.makeDirectory(attempt.pod, 'data');
    const target = path.join(place.root, 'data');
    const mounts = [{ source, target, readOnly: false, variable: 'PLACE' }];
    await place.processes.start(attempt, specOf('echo "$PLACE"', { mounts }));
    assert.equal(await ended(), 0);
    assert.equal(await logText(), `${target}\n`);
  });

  test("are links in the container's directory where the system gives no others", async () => {
    place.processes.close();
    place.open('link');
    const source = place.processes.files.makeDirectory(attempt.pod, 'data');
    fs.writeFileSync(path.join(source, 'file'), 'content');
    const mounts = [{ source, target: '/var/data', readOnly: false, variable: 'PLACE' }];
    const script = 'cat var/data/file "$PLACE/file"';
    await place.processes.start(attempt, specOf(script, { mounts }));
    assert.equal(await ended(), 0);
    assert.equal(await logText(), 'contentcontent');
  });
});

suite('files of volumes', () => {
  const text = (content: string) => ({ content: Buffer.from(content), mode: 0o640 });

  test('change all at once, and what is no longer named goes', () => {
    const { files } = place.processes;
    const directory = files.writeFiles('p', 'config', [
      { path: 'a', ...text('1') },
      { path: 'deep/b', ...text('2') },
    ]);
    assert.equal(fs.readFileSync(path.join(directory, 'deep/b'), 'utf8'), '2');
    assert.equal(fs.statSync(path.join(directory, 'a')).mode & 0o777, 0o640);
    const before = fs.readlinkSync(path.join(directory, '..data'));
    files.writeFiles('p', 'config', [
      { path: 'a', ...text('1') },
      { path: 'deep/b', ...text('2') },
    ]);
    assert.equal(fs.readlinkSync(path.join(directory, '..data')), before);
    files.writeFiles('p', 'config', [{ path: 'a', ...text('3') }]);
    assert.equal(fs.readFileSync(path.join(directory, 'a'), 'utf8'), '3');
    assert.deepEqual(
      fs.readdirSync(directory).filter((name) => !name.startsWith('..')),
      ['a'],
    );
  });

  test('stay in their volume', () => {
    const { files } = place.processes;
    const directory = files.makeDirectory('p', 'data');
    assert.throws(() => files.writeFiles('p', 'x', [{ path: '../y', ...text('1') }]), /leads out/);
    assert.throws(() => files.subPath(directory, '../..'), /leads out/);
    fs.symlinkSync('/', path.join(directory, 'link'));
    assert.throws(() => files.subPath(directory, 'link/etc'), /leads out/);
    assert.equal(
      files.subPath(directory, 'sub/dir'),
      fs.realpathSync(path.join(directory, 'sub/dir')),
    );
  });
});

test('a process is known by its id and start time, whatever its name', () => {
  const line = `17 (a) b) c) S ${'0 '.repeat(18)}4711 0`;
  assert.deepEqual(parseStat(line), { pid: 17, startedTicks: '4711', state: 'S' });
  const self = parseStat(fs.readFileSync('/proc/self/stat', 'latin1'));
  assert.ok(self !== undefined && isAlive(self));
  assert.equal(isAlive({ ...self, startedTicks: '1' }), false);
});
