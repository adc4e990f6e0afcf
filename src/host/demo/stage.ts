/** Where the story plays: two agents, the wires between them, and ways to talk to both. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { VolumeObject } from '../../api/objects.ts';
import type { ControlClient } from '../../api/control-client.ts';
import type { Agents, Planes, Terminal } from '../../cli/ports.ts';
import type { Clock } from '../../base/ports.ts';
import { agentPaths } from '../agent-paths.ts';
import { detachVolume, listAttachments } from '../attach.ts';
import { mounts } from '../block-probe.ts';
import { DemoFailure, type Narrator } from './narrator.ts';
import type { Programs } from './programs.ts';
import { freePort, openRelay, type Relay } from './relay.ts';

export const clusters = ['east', 'west'] as const;

/** One direction; a round trip takes twice this. */
export const wireDelayMs = 5;

export interface StageOptions {
  readonly home: string;
  readonly agents: Agents;
  readonly planes: Planes;
  readonly programs: Programs;
  readonly narrator: Narrator;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class Stage {
  readonly o: StageOptions;
  readonly east: ControlClient;
  readonly west: ControlClient;
  readonly #relays: Relay[] = [];

  constructor(options: StageOptions) {
    this.o = options;
    const [east, west] = clusters.map((name) => options.agents.connect(name));
    this.east = east!;
    this.west = west!;
  }

  /** Runs a command of Transship, shown as it is run unless `shown` says otherwise. */
  async command(words: readonly string[], shown: readonly string[] = words): Promise<string> {
    this.o.narrator.command(shown);
    return this.o.programs.transship(words);
  }

  /** A cluster that others reach through a wire of ours only. */
  async start(name: string): Promise<void> {
    const port = await freePort();
    const relay = await openRelay(port, wireDelayMs);
    this.#relays.push(relay);
    const listen = ['--listen', `127.0.0.1:${port}`, '--advertise', `127.0.0.1:${relay.port}`];
    await this.command(['up', name, ...listen, '--detach']);
  }

  cutWires(): void {
    for (const relay of this.#relays) relay.cut();
  }

  restoreWires(): void {
    for (const relay of this.#relays) relay.restore();
  }

  async volume(client: ControlClient, name: string): Promise<VolumeObject> {
    return client.call('volume.show', { name });
  }

  /** Rows of `get teleports -w` as they come, shown as a person sees them. */
  watchTeleports(cluster: string): { readonly rows: readonly string[]; end(): Promise<void> } {
    const { narrator, programs } = this.o;
    const words = ['get', 'teleports', '-w', '--cluster', cluster];
    narrator.command(words);
    const rows: string[] = [];
    const followed = programs.follow(words, (line) => {
      rows.push(line);
      narrator.raw(`       ${line}\n`);
    });
    return { rows, end: () => followed.end() };
  }

  /** Polls until `test` holds; `DemoFailure` naming `what` when it takes too long. */
  async until(what: string, test: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    const { clock, signal } = this.o;
    const deadline = clock.monotonicMs() + timeoutMs;
    while (!(await test())) {
      signal.throwIfAborted();
      if (clock.monotonicMs() > deadline) {
        throw new DemoFailure(`waited ${timeoutMs / 1000} s in vain until ${what}`);
      }
      await this.pause(100);
    }
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Ends everything and removes the home; says what it could not remove. */
  async close(): Promise<readonly string[]> {
    const { agents, planes, home, programs } = this.o;
    await programs.endAll();
    this.restoreWires();
    for (const name of clusters) await planes.stop(name, stopMs).catch(() => undefined);
    for (const name of clusters) await this.#detachAll(name);
    for (const name of clusters) await stopAgent(agents, home, name);
    for (const relay of this.#relays) await relay.close();
    const left = mounts().filter(({ path: at }) => at.startsWith(`${home}${path.sep}`));
    // Removing below a mount would remove from the volume.
    if (left.length > 0) return left.map(({ path: at }) => `still mounted: ${at}`);
    fs.rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    return [];
  }

  async #detachAll(name: string): Promise<void> {
    const { attachments } = agentPaths(this.o.home, name);
    for (const { name: volume } of listAttachments(attachments)) {
      const client = this.o.agents.connect(name);
      try {
        await client.call('volume.detach', { volume });
      } catch {
        // Its agent is gone, or somebody stands in the directory: then without asking.
        await detachVolume({ name: volume, stateDirectory: attachments, force: true });
      }
    }
  }
}

const stopMs = 20_000;

async function stopAgent(agents: Agents, home: string, name: string): Promise<void> {
  try {
    await agents.stop(name, stopMs);
  } catch {
    const pid = Number(readText(agentPaths(home, name).pid));
    if (pid > 1) process.kill(pid, 'SIGKILL');
  }
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
