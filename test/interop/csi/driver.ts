// Our CSI driver as a process, with its controller, on the agent and the control plane of a cloud.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type Cloud, signal, until } from '../cloud.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');

/** A driver as a process; gone when disposed. */
export async function startDriver(cloud: Cloud, endpoint: string): Promise<AsyncDisposable> {
  const shared = await cloud.planes.writeShared(['east']);
  const words = ['csi', '--endpoint', endpoint, '--node', 'east', '--controller'];
  const where = ['--context', 'east', '--kubeconfig', shared];
  const child = spawn(process.execPath, ['--no-warnings', mainPath, ...words, ...where], {
    env: { ...process.env, TRANSSHIP_HOME: cloud.home },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await until('the driver to serve', () => {
    if (child.exitCode !== null) throw new Error(`the driver ended: ${said}`);
    return said.includes('CSI driver ready');
  });
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await until('the driver to end', () => child.exitCode !== null || !signal(child.pid!, 0));
    },
  };
}
