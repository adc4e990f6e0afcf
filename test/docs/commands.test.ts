// Documents that show commands are run as written: README.md and docs/guides. What a reader
// copies must work, and a flag that was renamed must not live on in a guide.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { type Block, extractBlocks, scriptOf } from './commands.ts';

const root = join(import.meta.dirname, '../..');
/** Migrations of a guide take half a minute on a quiet machine, and minutes on a busy one. */
const documentMsMax = 300_000;
const testMsMax = documentMsMax + 60_000;
/** All of them; whoever runs the stage has a limit of its own. */
const timeout = 3_600_000;
const outputCharsShown = 4_000;

const guides = join(root, 'docs/guides');
const documents = [
  'README.md',
  ...(existsSync(guides) ? readdirSync(guides) : [])
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/guides/${name}`),
];

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly timedOut: boolean;
}

/** Runs `sh -e` in the folder, and ends with everything it started in the background. */
function runScript(script: string, folder: string): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const home = join(folder, 'home');
  mkdirSync(home);
  const child = spawn('sh', ['-e', '-c', script], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${join(root, 'bin')}:${process.env.PATH}`,
      HOME: home,
      TRANSSHIP_HOME: join(home, '.transship'),
      // Files that guides refer to, as a reader has them in the clone.
      GUIDES: guides,
      DOCUMENT_LINE_FILE: join(folder, '.line'),
      NO_COLOR: '1',
    },
  });
  const killGroup = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nobody is left in the group.
    }
  };
  let output = '';
  let timedOut = false;
  const deadline = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, documentMsMax);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-outputCharsShown);
    });
  }
  child.on('exit', killGroup);
  child.on('close', (code) => {
    clearTimeout(deadline);
    resolve({ code, output, timedOut });
  });
  return promise;
}

function missingOf(blocks: readonly Block[]): readonly string[] {
  const exists = (name: string): boolean => {
    if (name === 'root') return process.getuid?.() === 0;
    if (name.startsWith('/')) return existsSync(name);
    return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name]).status === 0;
  };
  return [...new Set(blocks.flatMap((block) => block.needs))].filter((name) => !exists(name));
}

suite('commands of the documents run as written', { concurrency: 2, timeout }, () => {
  for (const path of documents) {
    const blocks = extractBlocks(readFileSync(join(root, path), 'utf8'));
    if (blocks.length === 0) continue;
    test(path, { timeout: testMsMax }, async (t) => {
      const missing = missingOf(blocks);
      if (missing.length > 0) {
        t.skip(`needs ${missing.join(', ')}`);
        return;
      }
      const folder = mkdtempSync(join(tmpdir(), 'transship-docs-'));
      try {
        const { code, output, timedOut } = await runScript(scriptOf(blocks), folder);
        const line = readFileSync(join(folder, '.line'), 'utf8');
        const how = timedOut ? `not done after ${documentMsMax} ms` : `exit code ${code}`;
        assert.equal(code, 0, `the block at ${path}:${line}: ${how}\n${output}`);
      } finally {
        // A guide that failed half-way has not stopped its clusters.
        spawnSync(join(root, 'bin/transship'), ['down'], {
          env: { ...process.env, TRANSSHIP_HOME: join(folder, 'home/.transship') },
          stdio: 'ignore',
        });
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});

suite('the extraction', () => {
  const markdown = [
    '```sh',
    'name=x',
    'npm test',
    '```',
    '```console',
    '$ not this',
    '```',
    '1. a list',
    '   ```sh needs=sh,no-such-program,/no/such/path,/',
    '   test "$name" = x',
    '   ```',
  ].join('\n');
  const blocks = extractBlocks(markdown);

  test('takes sh blocks, not console blocks, and blanks what is skipped', () => {
    assert.deepEqual(
      blocks.map((block) => block.line),
      [1, 9],
    );
    assert.match(blocks[0]?.commands ?? '', /^name=x\n: skipped, /);
    assert.equal(blocks[1]?.commands, 'test "$name" = x');
    assert.deepEqual(missingOf(blocks), ['no-such-program', '/no/such/path']);
  });

  test('blocks of a document share a shell, and the failing one is named', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'transship-docs-'));
    try {
      const failing = { line: 12, commands: 'false', needs: [] };
      const ended = await runScript(scriptOf([...blocks, failing]), folder);
      assert.notEqual(ended.code, 0);
      assert.equal(readFileSync(join(folder, '.line'), 'utf8'), '12');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
