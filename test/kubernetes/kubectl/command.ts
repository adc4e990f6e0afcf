/** Runs kubectl. */
import { spawn } from 'node:child_process';

export interface KubectlResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface KubectlCall {
  readonly program: string;
  readonly args: readonly string[];
  readonly kubeconfigPath: string;
  readonly directory: string;
  readonly stdin?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly signal: AbortSignal;
}

const kubectlMs = 60_000;

export function runKubectl(call: KubectlCall): Promise<KubectlResult> {
  const { promise, resolve, reject } = Promise.withResolvers<KubectlResult>();
  const child = spawn(call.program, [...call.args], {
    cwd: call.directory,
    env: {
      PATH: process.env['PATH'],
      HOME: call.directory,
      KUBECONFIG: call.kubeconfigPath,
      ...call.env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: kubectlMs,
    signal: call.signal,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(call.stdin ?? '');
  child.on('error', reject);
  child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  return promise;
}
