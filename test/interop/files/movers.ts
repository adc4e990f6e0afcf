// Movers as processes, with the certificates of one transfer.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import readline from 'node:readline';
import type { MoverClientConfig, MoverServerConfig } from '../../../src/files/mover-config.ts';
import {
  type MoverMessage,
  parseMoverMessage,
  type SavedVolume,
} from '../../../src/files/mover-messages.ts';
import type { BackupConfig, RestoreConfig } from '../../../src/files/restic-config.ts';
import { makeMoverCertificates } from '../../../src/host/mover/certificates.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');

export interface Mover {
  readonly child: ChildProcess;
  readonly said: MoverMessage[];
  /** The next message of this type, or one that was said already. Rejects when the mover ends. */
  wait<T extends MoverMessage['type']>(type: T): Promise<MoverMessage & { type: T }>;
  /** Resolves with the exit code when it has ended and all it said was read. */
  readonly ended: Promise<number | null>;
}

export class Transfer {
  readonly directory: string;
  readonly source: string;
  readonly destination: string;
  readonly #started: Mover[] = [];
  #user: number | undefined;

  constructor(directory: string) {
    this.directory = directory;
    this.source = join(directory, 'source');
    this.destination = join(directory, 'destination');
    for (const path of [this.source, this.destination]) mkdirSync(path);
    this.writeCertificates('tls');
  }

  writeCertificates(name: string): void {
    const { server, client } = makeMoverCertificates('mover.test', Date.now());
    for (const [side, files] of Object.entries({ server, client })) {
      const at = join(this.directory, name, side);
      mkdirSync(at, { recursive: true });
      for (const [file, text] of Object.entries(files)) {
        writeFileSync(join(at, file), text, { mode: 0o600 });
      }
    }
  }

  /** Movers that start from now on run as this user, who owns all but the source's content. */
  runAs(user: number): void {
    this.#user = user;
    chmodSync(this.directory, 0o755);
    for (const path of readdirSync(this.directory, { recursive: true, encoding: 'utf8' })) {
      if (!path.startsWith('source/')) chownSync(join(this.directory, path), user, user);
    }
    chownSync(this.directory, user, user);
  }

  server(changes: Partial<MoverServerConfig> = {}): Promise<Mover & { port: number }> {
    const mover = this.#start('server', {
      host: '127.0.0.1',
      port: 0,
      certificates: join(this.directory, 'tls/server'),
      state: join(this.directory, 'server-state'),
      modules: [{ name: 'app.data', path: this.destination }],
      ...changes,
    } satisfies MoverServerConfig);
    return mover.wait('Listening').then(({ port }) => ({ ...mover, port }));
  }

  client(port: number, changes: Partial<MoverClientConfig> = {}): Mover {
    return this.#start('client', this.clientConfig(port, changes));
  }

  clientConfig(port: number, changes: Partial<MoverClientConfig>): MoverClientConfig {
    return {
      host: '127.0.0.1',
      port,
      serverName: 'mover.test',
      certificates: join(this.directory, 'tls/client'),
      state: join(this.directory, 'client-state'),
      module: 'app.data',
      source: this.source,
      pass: 'Final',
      ...changes,
    };
  }

  /** Into a repository beside the volumes. */
  backup(changes: Partial<BackupConfig> = {}): Mover {
    return this.#start('backup', {
      ...this.#restic('backup-state', this.source),
      transfer: 'test',
      claim: 'default/data',
      ...changes,
    } satisfies BackupConfig);
  }

  restore(saved: SavedVolume, changes: Partial<RestoreConfig> = {}): Mover {
    return this.#start('restore', {
      ...this.#restic('restore-state', this.destination),
      saved,
      ...changes,
    } satisfies RestoreConfig);
  }

  #restic(state: string, volume: string) {
    const repository = { directory: join(this.directory, 'repository') };
    const password = 'of-this-test-alone';
    const pass = 'Final' as const;
    return { repository, password, state: join(this.directory, state), volume, pass };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#started) child.kill('SIGTERM');
    await Promise.all(this.#started.map(({ ended }) => ended));
  }

  #start(side: string, config: object): Mover {
    // A client reads its file again before each attempt: a later one must not write over it.
    const earlier = this.#started.filter(({ child }) => child.spawnargs.includes(side)).length;
    const path = join(this.directory, `${side}${earlier === 0 ? '' : earlier}.json`);
    writeFileSync(path, JSON.stringify(config));
    const words = [mainPath, 'mover', side, '--config', path];
    // As in pods, where only the state directory can be written to.
    const temporary = side === 'backup' || side === 'restore' ? { TMPDIR: '/nonexistent' } : {};
    const home = { TRANSSHIP_HOME: join(this.directory, 'home') };
    const env = { ...process.env, ...home, ...temporary };
    const ids = this.#user === undefined ? {} : { uid: this.#user, gid: this.#user };
    const child = spawn(process.execPath, words, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env,
      ...ids,
    });
    const mover = listenTo(child);
    this.#started.push(mover);
    return mover;
  }
}

function listenTo(child: ChildProcess): Mover {
  const said: MoverMessage[] = [];
  const lines = readline.createInterface({ input: child.stdout! });
  const closed = once(lines, 'close');
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const look of waiting) look();
  };
  lines.on('line', (line) => {
    const message = parseMoverMessage(line);
    if (message !== undefined) said.push(message);
    wake();
  });
  let isOver = false;
  const ended = Promise.all([once(child, 'exit'), closed]).then(([[code]]) => {
    isOver = true;
    wake();
    return code as number | null;
  });
  const wait: Mover['wait'] = (type) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = said.find((message) => message.type === type);
        if (found === undefined && !isOver) return;
        waiting.delete(look);
        if (found !== undefined) resolve(found as never);
        else reject(new Error(`the mover ended and said ${JSON.stringify(said)}`));
      };
      waiting.add(look);
      look();
    });
  return { child, said, wait, ended };
}
