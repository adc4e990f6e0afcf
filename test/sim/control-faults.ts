/** What goes wrong: servers, controllers and agents end, links are cut, clocks jump. */
import { fairWeather } from './control-transport.ts';
import type { ControlWorld, SimCluster } from './control-world.ts';

export type FaultStep = (world: ControlWorld, cluster: SimCluster) => Promise<void> | void;

const minuteMs = 60_000;

function fault(
  weight: number,
  run: FaultStep,
): { readonly weight: number; readonly run: FaultStep } {
  return { weight, run };
}

export const faultSteps = {
  apiWeather: fault(5, ({ rng, scheduler }, { api }) => {
    const { weather } = api;
    Object.assign(weather, {
      lostBefore: rng.pick([0, 0.05, 0.3]),
      lostAfter: rng.pick([0, 0.05, 0.3]),
      errors: rng.pick([0, 0.1, 0.4]),
      cuts: rng.pick([0, 0.2, 0.8]),
      delayMs: rng.pick([0.5, 5, 200]),
    });
    if (rng.chance(0.15)) {
      weather.unauthorizedUntilMs = scheduler.nowMs + rng.pick([5_000, 60_000]);
    }
    if (rng.chance(0.15)) {
      const verb = rng.pick(['get', 'create', 'update', 'patch', 'delete']);
      const plural = rng.pick([
        'volumes',
        'teleports',
        'persistentvolumes',
        'persistentvolumeclaims',
        'leases',
        'clusters',
      ]);
      weather.forbidden = { verb, plural };
    }
  }),
  apiFair: fault(4, (_world, { api }) => void Object.assign(api.weather, fairWeather)),
  apiCut: fault(3, (_world, { api }) => api.cut()),
  apiKill: fault(2, ({ rng }, { api }) => {
    if (rng.chance(0.5)) api.kill();
    else if (api.server !== undefined) api.diesAfterCommits = rng.between(0, 12);
  }),
  apiStop: fault(1, ({ scheduler }, { api }) => scheduler.drive(api.stop())),
  apiStart: fault(6, (_world, { api }) => {
    if (api.server === undefined) api.start();
  }),
  controllerKill: fault(3, ({ rng }, { controllers }) => rng.pick(controllers).kill()),
  controllerStop: fault(1, async (world, { controllers }) => {
    const one = world.rng.pick(controllers);
    if (one.running !== undefined && !one.isPaused) world.spawn('stop', () => one.stop());
  }),
  controllerStart: fault(6, startControllers),
  controllerPause: fault(2, ({ rng }, { controllers }) => {
    rng.pick(controllers).running?.life.pause();
  }),
  controllerResume: fault(5, (_world, { controllers }) => {
    for (const one of controllers) if (one.isPaused) one.running?.life.resume();
  }),
  runtimeKill: fault(1, (_world, { runtime }) => runtime.kill()),
  runtimeStart: fault(3, (_world, { runtime }) => {
    if (runtime.running === undefined) runtime.start();
  }),
  agentKill: fault(1.5, (_world, { agent }) => {
    if (agent?.running !== undefined) agent.kill();
  }),
  agentPowerOff: fault(1.5, (_world, { agent }) => {
    if (agent?.running !== undefined) agent.powerOff();
  }),
  agentStart: fault(5, startAgent),
  agentLine: fault(3, ({ rng }, { line }) => {
    Object.assign(line, {
      lostBefore: rng.pick([0, 0.1, 0.5]),
      lostAfter: rng.pick([0, 0.1, 0.5]),
      delayMs: rng.pick([1, 100]),
    });
  }),
  linkCut: fault(1.5, ({ network }) => {
    network.state = 'refusing';
    network.cut();
  }),
  linkSilence: fault(1, ({ network }) => {
    network.state = 'silent';
  }),
  linkRestore: fault(4, restoreLinks),
  clockJump: fault(1, (world, cluster) => {
    const { rng } = world;
    const by = rng.pick([-1, 1]) * rng.pick([0.1, 1, 5]) * minuteMs;
    const { controllers } = cluster;
    const others = [cluster.api, cluster.agent, cluster.runtime];
    const all = rng.chance(0.5) ? controllers : others;
    const one = rng.pick(all.filter((each) => each !== undefined));
    one.skewMs += by;
  }),
} as const;

/** Who was still ending when all became calm is started again, as a kubelet does it. */
export function keepRunning(world: ControlWorld): void {
  for (const cluster of world.clusters) startControllers(world, cluster);
}

function startControllers(_world: ControlWorld, { controllers }: SimCluster): void {
  for (const one of controllers) if (one.running === undefined) one.start();
}

async function startAgent({ scheduler }: ControlWorld, { agent }: SimCluster): Promise<void> {
  if (agent !== undefined && agent.running === undefined) await scheduler.drive(agent.start());
}

/** What was sent into silence is lost, so no link may live on as if it had arrived. */
function restoreLinks({ network }: ControlWorld): void {
  if (network.state === 'silent') network.cut();
  network.state = 'up';
}

/** Everything runs, and nothing fails any more. */
export async function makeCalm(world: ControlWorld): Promise<void> {
  world.isCalm = true;
  restoreLinks(world);
  for (const cluster of world.clusters) {
    const { api, line, runtime, controllers } = cluster;
    Object.assign(api.weather, fairWeather);
    Object.assign(line, { lostBefore: 0, lostAfter: 0, delayMs: 1 });
    api.diesAfterCommits = undefined;
    if (api.server === undefined) api.start();
    await startAgent(world, cluster);
    if (runtime.running === undefined) runtime.start();
    for (const one of controllers) if (one.isPaused) one.running?.life.resume();
    startControllers(world, cluster);
  }
}
