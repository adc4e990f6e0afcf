/** Movers as processes, and rsync through stunnel by hand: what people set up without us. */
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { makeMoverCertificates } from '../src/host/mover/certificates.ts';
import { packInto } from '../tools/pack/pack.ts';
import type { Programs } from './programs.ts';

const root = join(import.meta.dirname, '..');
const name = 'mover.bench';

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}

/** For both: the same keys, the same cipher suites. */
export function writeCertificates(directory: string): void {
  const { server, client } = makeMoverCertificates(name, Date.now());
  for (const [side, files] of Object.entries({ server, client })) {
    const at = join(directory, side);
    fs.mkdirSync(at, { recursive: true });
    for (const [file, text] of Object.entries(files)) {
      fs.writeFileSync(join(at, file), text, { mode: 0o600 });
    }
  }
}

/** The program as users have it, types stripped beforehand; returns what Node runs. */
export function packProgram(directory: string): string {
  const home = join(directory, 'packed');
  packInto(join(home, 'dist'));
  fs.copyFileSync(join(root, 'package.json'), join(home, 'package.json'));
  fs.symlinkSync(join(root, 'node_modules'), join(home, 'node_modules'));
  return join(home, 'dist/main.js');
}

/** Where a mover finds the program, its certificates, and a place for its state. */
export interface Place {
  readonly program: string;
  readonly directory: string;
}

function words({ program }: Place, ...rest: readonly string[]): string[] {
  return ['--disable-warning=ExperimentalWarning', program, 'mover', ...rest];
}

export interface FileMover extends AsyncDisposable {
  /** Seconds of one pass, the start of the client included. */
  copy(source: string, pass: 'Stage' | 'Final'): Promise<number>;
}

/** Our server for one directory, and clients that copy to it. */
export async function startFileMover(
  programs: Programs,
  place: Place,
  destination: string,
): Promise<FileMover> {
  const { directory } = place;
  const port = await freePort();
  const config = (side: string, rest: object) => {
    const path = join(directory, `${side}.json`);
    const base = { host: '127.0.0.1', port, certificates: join(directory, side) };
    const state = join(directory, `${side}-state`);
    fs.writeFileSync(path, JSON.stringify({ ...base, state, ...rest }));
    return path;
  };
  const modules = [{ name: 'bench.data', path: destination }];
  const file = config('server', { modules });
  const args = words(place, 'server', '--config', file);
  const server = await programs.serve(process.execPath, args, { port });
  return {
    copy: async (source, pass) => {
      const rest = { serverName: name, module: 'bench.data', source, pass };
      const client = words(place, 'client', '--config', config('client', rest));
      return (await programs.run(process.execPath, client)).seconds;
    },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

/**
 * Our receiver and sender of blocks, once. Seconds of the sender, its start included; the receiver
 * listens before, as daemons and tunnels do that others set up.
 */
export async function copyBlocks(
  programs: Programs,
  place: Place,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<number> {
  const { directory } = place;
  const port = await freePort();
  const at = (side: string) => join(directory, side);
  const listen = ['--listen', `127.0.0.1:${port}`, '--certificates', at('server')];
  const receiver = await programs.serve(
    process.execPath,
    words(place, 'block-receive', '--destination', to, ...listen),
    { port },
  );
  const connect = ['--to', `127.0.0.1:${port}`, '--certificates', at('client')];
  const send = words(place, 'block-send', '--source', from, ...connect, '--server-name', name);
  const { seconds } = await programs.run(process.execPath, send);
  await receiver.stop();
  return seconds;
}

export interface PlainTunnel extends AsyncDisposable {
  /** Seconds; `from` is a file, or a directory with a slash at its end. */
  rsync(flags: readonly string[], from: string): Promise<number>;
}

/** The path of a configuration; both sides are verified. */
function writeTunnel(directory: string, side: string, lines: readonly string[]): string {
  const file = join(directory, `stunnel-${side}.conf`);
  const at = (one: string) => join(directory, side, one);
  const text = [
    'foreground = yes',
    'debug = 3',
    'pid =',
    '[rsync]',
    ...lines,
    `CAfile = ${at('ca.crt')}`,
    `cert = ${at('tls.crt')}`,
    `key = ${at('tls.key')}`,
    'verifyChain = yes',
    'sslVersionMin = TLSv1.3',
    'socket = l:TCP_NODELAY=1',
    'socket = r:TCP_NODELAY=1',
  ];
  fs.writeFileSync(file, `${text.join('\n')}\n`);
  return file;
}

/** An rsync daemon behind stunnel, and stunnel at the client: both sides verified, as ours. */
export async function startPlainTunnel(
  programs: Programs,
  directory: string,
  destination: string,
): Promise<PlainTunnel> {
  const [daemonPort, tlsPort, localPort] = [await freePort(), await freePort(), await freePort()];
  const daemonFile = join(directory, 'rsyncd.conf');
  const daemonText = [
    'use chroot = yes',
    `pid file = ${directory}/rsyncd.pid`,
    `log file = ${directory}/rsyncd.log`,
    '[data]',
    `path = ${destination}`,
    'read only = no',
    'uid = 0',
    'gid = 0',
  ];
  fs.writeFileSync(daemonFile, `${daemonText.join('\n')}\n`);
  const daemon = await programs.serve(
    'rsync',
    [
      '--daemon',
      '--no-detach',
      '--address=127.0.0.1',
      `--port=${daemonPort}`,
      '--config',
      daemonFile,
    ],
    { port: daemonPort },
  );
  const server = writeTunnel(directory, 'server', [
    `accept = 127.0.0.1:${tlsPort}`,
    `connect = 127.0.0.1:${daemonPort}`,
  ]);
  const outer = await programs.serve('stunnel', [server], { port: tlsPort });
  const client = writeTunnel(directory, 'client', [
    'client = yes',
    `accept = 127.0.0.1:${localPort}`,
    `connect = 127.0.0.1:${tlsPort}`,
  ]);
  const inner = await programs.serve('stunnel', [client], { port: localPort });
  return {
    rsync: async (flags, from) => {
      const url = `rsync://127.0.0.1:${localPort}/data/`;
      return (await programs.run('rsync', [...flags, from, url])).seconds;
    },
    [Symbol.asyncDispose]: async () => {
      await inner.stop();
      await outer.stop();
      await daemon.stop();
    },
  };
}
