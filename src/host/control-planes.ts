/** The control planes of this host's embedded clusters: starting, stopping and reaching them. */
import type { Planes, StartPlane } from '../cli/ports.ts';
import { recordedProcess, startBackground, waitForEnd } from './background.ts';
import { planePaths } from './control-plane/paths.ts';
import { readSaved } from './control-plane/saved.ts';

/** Many small objects that live long: young ones should not wait in a large nursery. */
const planeFlags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=16'];

export interface PlanesOptions {
  readonly home: string;
  /** The program itself, to start control planes with. */
  readonly mainPath: string;
}

export function createPlanes(options: PlanesOptions): Planes {
  const { home } = options;
  return {
    isRunning: (name) => recordedProcess(planePaths(home, name).pid) !== undefined,
    kubeconfig: (name) => planePaths(home, name).kubeconfig,
    start: async (start) => {
      if (recordedProcess(planePaths(home, start.name).pid) !== undefined) return false;
      await startPlane(options, start);
      return true;
    },
    stop: async (name, timeoutMs) => {
      const pid = recordedProcess(planePaths(home, name).pid);
      if (pid === undefined) return false;
      process.kill(pid, 'SIGTERM');
      await waitForEnd(pid, `the control plane of ${name}`, timeoutMs);
      return true;
    },
    logPath: (name) => planePaths(home, name).log,
    metricsUrl: (name) => {
      const { metricsPort } = readSaved(planePaths(home, name));
      return metricsPort === undefined ? undefined : `http://127.0.0.1:${metricsPort}/metrics`;
    },
    writeShared: async (names) => (await access()).writeShared(home, names),
    open: async (place) => (await access()).openApi(home, place),
  };
}

/** Loaded by the commands that talk to API servers. */
const access = async () => import('./kube-access.ts');

async function startPlane(options: PlanesOptions, start: StartPlane): Promise<void> {
  const { directory } = planePaths(options.home, start.name);
  const { log } = planePaths(options.home, start.name);
  const words = ['control-plane', options.home, JSON.stringify(start)];
  const args = [...planeFlags, options.mainPath, ...words];
  await startBackground({ what: `control plane of ${start.name}`, args, directory, log });
}
