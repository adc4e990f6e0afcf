// Agents of one cluster, each in a network namespace of its own, with a cable between each two: any
// of the cables can be pulled, or lose all that goes one way or both ways and say nothing.
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, closeSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cloud, until } from '../cloud.ts';
import { missing, must, run } from '../tools.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');
const port = 7750;
/** A card that nobody has: what is sent there is dropped, and no answer says so. */
const nowhere = '02:00:00:00:00:99';

export const noWires = process.getuid?.() === 0 ? missing('ip') : 'needs root';

/**
 * `down`: both ends know. `silent`: what either sends is lost. `deaf`: only what the second sends
 * to the first is lost.
 */
export type Cut = 'down' | 'silent' | 'deaf';

export interface Wired extends AsyncDisposable {
  readonly cloud: Cloud;
  /** Joined each with each. */
  readonly agents: readonly Agent[];
  cut(first: Agent, second: Agent, how: Cut): Promise<void>;
  heal(first: Agent, second: Agent): Promise<void>;
}

/** Undefined where the kernel has no network namespaces. */
export async function startWired(cluster: string, count: number): Promise<Wired | undefined> {
  const wires = new Wires(count);
  if (!(await wires.lay())) return undefined;
  const cloud = new Cloud();
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const end = async (): Promise<void> => {
    await cloud.close();
    await wires.remove();
  };
  try {
    for (const number of numbers) {
      const memberOf = number === 1 ? undefined : cluster;
      const agent = cloud.adopt(number === 1 ? cluster : `${cluster}-${number}`, memberOf);
      await startIn(wires.space(number), { cloud, agent, memberOf, host: addressOf(number) });
    }
    const agents = await cloud.joinNodes(cluster);
    const pair = (a: Agent, b: Agent) => [agents.indexOf(a) + 1, agents.indexOf(b) + 1] as const;
    return {
      cloud,
      agents,
      cut: (first, second, how) => wires.cut(pair(first, second), how),
      heal: (first, second) => wires.heal(pair(first, second)),
      [Symbol.asyncDispose]: end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

interface Place {
  readonly cloud: Cloud;
  readonly agent: Agent;
  readonly memberOf: string | undefined;
  readonly host: string;
}

/** As `transship up` starts agents, but in there. */
async function startIn(space: string, { cloud, agent, memberOf, host }: Place): Promise<void> {
  const { directory, log } = agent.paths;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const own = memberOf === undefined ? {} : { memberOf };
  const start = JSON.stringify({ name: agent.name, listen: `${host}:${port}`, ...own });
  const node = [process.execPath, '--no-warnings', mainPath, 'agent', cloud.home, start];
  const out = openSync(log, 'a', 0o600);
  const child = spawn('ip', ['netns', 'exec', space, ...node], {
    detached: true,
    stdio: ['ignore', out, out, 'ignore'],
    cwd: directory,
  });
  closeSync(out);
  child.unref();
  await until(`agent ${agent.name} to answer`, async () => {
    const isThere = await agent.call('agent.status', {}).catch(() => undefined);
    return isThere !== undefined;
  });
}

function addressOf(number: number): string {
  return `10.203.78.${number}`;
}

type Pair = readonly [number, number];

class Wires {
  readonly #count: number;
  readonly #prefix = `ts${process.pid}-`;

  constructor(count: number) {
    this.#count = count;
  }

  space(number: number): string {
    return `${this.#prefix}${number}`;
  }

  async lay(): Promise<boolean> {
    if ((await run('ip', 'netns', 'add', this.space(1))).code !== 0) return false;
    for (let number = 2; number <= this.#count; number++) {
      await must('ip', 'netns', 'add', this.space(number));
    }
    for (let one = 1; one <= this.#count; one++) {
      await must('ip', '-n', this.space(one), 'link', 'set', 'lo', 'up');
      for (let other = one + 1; other <= this.#count; other++) await this.#cable([one, other]);
    }
    return true;
  }

  async remove(): Promise<void> {
    for (let number = 1; number <= this.#count; number++) {
      await run('ip', 'netns', 'delete', this.space(number));
    }
  }

  async cut(pair: Pair, how: Cut): Promise<void> {
    const [first, second] = pair;
    if (how === 'down') {
      await must('ip', '-n', this.space(first), 'link', 'set', `to${second}`, 'down');
      return;
    }
    await this.#lose(second, first);
    if (how === 'silent') await this.#lose(first, second);
  }

  async heal(pair: Pair): Promise<void> {
    for (const [from, to] of ways(pair)) {
      const card = ['dev', `to${to}`];
      await must('ip', '-n', this.space(from), 'link', 'set', `to${to}`, 'up');
      await run('ip', '-n', this.space(from), 'neigh', 'delete', addressOf(to), ...card);
    }
  }

  /** One address for each, so that who dials needs to know one only, and no way round. */
  async #cable(pair: Pair): Promise<void> {
    const [first, second] = pair;
    const far = ['peer', 'name', `to${first}`, 'netns', this.space(second)];
    const near = [`to${second}`, 'netns', this.space(first)];
    await must('ip', 'link', 'add', ...near, 'type', 'veth', ...far);
    for (const [from, to] of ways(pair)) {
      const words = ['address', 'add', addressOf(from), 'peer', addressOf(to), 'dev', `to${to}`];
      await must('ip', '-n', this.space(from), ...words);
      await must('ip', '-n', this.space(from), 'link', 'set', `to${to}`, 'up');
    }
  }

  async #lose(from: number, to: number): Promise<void> {
    const words = ['lladdr', nowhere, 'nud', 'permanent', 'dev', `to${to}`];
    await must('ip', '-n', this.space(from), 'neigh', 'replace', addressOf(to), ...words);
  }
}

function ways([first, second]: Pair): readonly Pair[] {
  return [
    [first, second],
    [second, first],
  ];
}
