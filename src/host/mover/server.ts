/** `transship mover server`: volumes of one namespace at the destination, behind mutual TLS. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asTransshipError, fail } from '../../base/errors.ts';
import { type MoverServerConfig, parseServerConfig } from '../../files/mover-config.ts';
import { rsyncdText } from '../../files/rsyncd-config.ts';
import { serverTunnelText, tunnelReady } from '../../files/stunnel-config.ts';
import { answerRequests } from './audit-answers.ts';
import { say } from './messages.ts';
import { placedServer } from './places.ts';
import { copyKey, isRoot, mayChroot, needProgram, processesOf, signalAll } from './programs.ts';

const portTries = 10;
const lookMs = 100;
/** Of a receiver that writes its partial file down. */
const stopMs = 10_000;

/** Runs until SIGTERM; resolves with the exit code. `BadArgument`, `ToolMissing`, `InUse`. */
export async function runMoverServer(configPath: string): Promise<number> {
  const config = placedServer(parseServerConfig(fs.readFileSync(configPath, 'utf8')));
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());
  const paths = prepare(config);
  await endAll(paths);
  try {
    const { child, port } = await startTunnel(config, paths);
    const ended = once(child, 'exit').then(() => stop.abort());
    say({ type: 'Listening', port });
    const stopped = once(stop.signal, 'abort');
    await Promise.race([answerRequests(config, paths, stop.signal), stopped, ended]);
    const isOver = child.exitCode !== null || child.signalCode !== null;
    if (isOver) fail('Stopping', `stunnel ended: ${lastLines(paths.tunnelLog)}`);
    return 0;
  } finally {
    await endAll(paths);
  }
}

export interface ServerPaths {
  readonly key: string;
  readonly rsyncConfig: string;
  readonly tunnelConfig: string;
  readonly tunnelLog: string;
  readonly requests: string;
  readonly answers: string;
}

function prepare(config: MoverServerConfig): ServerPaths {
  const { state, certificates, modules } = config;
  const paths = {
    key: join(state, 'tls.key'),
    rsyncConfig: join(state, 'rsyncd.conf'),
    tunnelConfig: join(state, 'stunnel.conf'),
    tunnelLog: join(state, 'stunnel.log'),
    requests: join(state, 'requests'),
    answers: join(state, 'answers'),
  };
  for (const path of [state, paths.requests, paths.answers, join(state, 'locks')]) {
    fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  copyKey(certificates, paths.key);
  const text = rsyncdText({
    modules,
    requestsPath: paths.requests,
    answersPath: paths.answers,
    locksPath: join(state, 'locks'),
    logPath: join(state, 'rsyncd.log'),
    chroot: mayChroot(),
    root: isRoot(),
  });
  fs.writeFileSync(paths.rsyncConfig, text, { mode: 0o600 });
  return paths;
}

interface Tunnel {
  readonly child: ChildProcess;
  readonly port: number;
}

/** Between the choice of a free port and its use another process may take it: then once more. */
async function startTunnel(config: MoverServerConfig, paths: ServerPaths): Promise<Tunnel> {
  const program = needProgram('stunnel4', 'stunnel');
  const rsync = needProgram('rsync');
  for (let left = config.port === 0 ? portTries : 1; left > 0; left -= 1) {
    const port = config.port === 0 ? await freePort(config.host) : config.port;
    const text = serverTunnelText({
      certificates: config.certificates,
      keyPath: paths.key,
      logPath: paths.tunnelLog,
      host: config.host,
      port,
      rsync,
      rsyncConfigPath: paths.rsyncConfig,
    });
    fs.writeFileSync(paths.tunnelConfig, text, { mode: 0o600 });
    fs.rmSync(paths.tunnelLog, { force: true });
    const child = spawn(program, [paths.tunnelConfig], { stdio: 'ignore' });
    if (await isAccepting(child, paths.tunnelLog)) return { child, port };
  }
  const said = lastLines(paths.tunnelLog);
  return fail('InUse', `stunnel cannot listen on ${config.host}:${config.port}: ${said}`);
}

async function freePort(host: string): Promise<number> {
  const server = net.createServer();
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function isAccepting(child: ChildProcess, log: string): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    if (fs.existsSync(log) && fs.readFileSync(log, 'utf8').includes(tunnelReady)) return true;
    await delay(lookMs);
  }
  return false;
}

/** The tunnel first, so that nothing new begins; also what a killed server left behind. */
async function endAll(paths: ServerPaths): Promise<void> {
  const files = [paths.tunnelConfig, paths.rsyncConfig];
  const endMs = performance.now() + stopMs;
  let left = processesOf(...files);
  while (left.length > 0) {
    signalAll(left, performance.now() < endMs ? 'SIGTERM' : 'SIGKILL');
    await delay(lookMs);
    left = processesOf(...files);
  }
}

function lastLines(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8').trim().split('\n').slice(-3).join('; ');
  } catch (error) {
    return asTransshipError(error).message;
  }
}
