/** One run of rsync through a tunnel of its own. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import type { MoverClientConfig } from '../../files/mover-config.ts';
import { clientTunnelText } from '../../files/stunnel-config.ts';
import { copyKey, needProgram } from './programs.ts';

/** Names of skipped files are in it; more of them help nobody. */
const stderrCharactersMax = 64 * 1024;

export interface RsyncRun {
  /** Undefined: a signal ended it. */
  readonly code: number | undefined;
  readonly stderr: string;
  readonly tunnelLog: string;
}

export interface RsyncOptions {
  readonly config: MoverClientConfig;
  readonly words: readonly string[];
  readonly onOutput?: (text: string) => void;
  readonly signal: AbortSignal;
}

/** `ToolMissing`, `Canceled`. */
export async function runRsync(options: RsyncOptions): Promise<RsyncRun> {
  const { config, words, signal } = options;
  signal.throwIfAborted();
  const log = join(config.state, 'stunnel.log');
  const tunnel = prepareTunnel(config, log);
  const child = spawn(needProgram('rsync'), [...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', RSYNC_CONNECT_PROG: tunnel },
  });
  const end = () => child.kill('SIGTERM');
  signal.addEventListener('abort', end);
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => options.onOutput?.(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-stderrCharactersMax);
  });
  const code = await new Promise<number | undefined>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit) => resolve(exit ?? undefined));
  });
  signal.removeEventListener('abort', end);
  signal.throwIfAborted();
  return { code, stderr, tunnelLog: fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : '' };
}

/** The command by which rsync is connected; paths of a configuration need no quotes. */
function prepareTunnel(config: MoverClientConfig, logPath: string): string {
  const { state, certificates, host, port, serverName } = config;
  const [keyPath, path] = [join(state, 'tls.key'), join(state, 'stunnel.conf')];
  fs.mkdirSync(state, { recursive: true, mode: 0o700 });
  copyKey(certificates, keyPath);
  fs.rmSync(logPath, { force: true });
  const text = clientTunnelText({ certificates, keyPath, logPath, host, port, serverName });
  fs.writeFileSync(path, text, { mode: 0o600 });
  return `exec ${needProgram('stunnel4', 'stunnel')} ${path} 2>/dev/null`;
}
