/**
 * After a node's agent was gone and came back: what it had attached is broken for good, so pods
 * that use volumes of the engine are ended, lose them, and begin again as their policy says.
 */
import { asTransshipError } from '../../../base/errors.ts';
import { sleep } from '../../../base/sleep.ts';
import type { RuntimePorts } from '../ports.ts';
import { type PodState, attemptOf } from './pod-state.ts';
import { notedVolumes } from './volumes.ts';

const lookMs = 50;
const againMs = 2_000;

/** Resolves when all that can be ended is; `again` is called for each pod that may go on. */
export async function remountAll(
  ports: RuntimePorts,
  states: readonly PodState[],
  again: (state: PodState) => void,
): Promise<void> {
  const { files, log, client } = ports;
  const users = states.filter(({ uid, isRemounting }) => {
    return !isRemounting && notedVolumes(files, uid).length > 0;
  });
  for (const state of users) state.isRemounting = true;
  for (let left: readonly PodState[] = users; left.length > 0; ) {
    await endAll(ports, left);
    const failed: PodState[] = [];
    for (const state of left) {
      try {
        for (const volume of notedVolumes(files, state.uid)) {
          await ports.volumes.unmount(volume, () => false);
        }
        state.volumes = undefined;
        state.isRemounting = false;
        again(state);
      } catch (error) {
        const { message } = asTransshipError(error);
        log.log('warn', `a volume of a lost agent: ${message}`, { pod: state.uid });
        failed.push(state);
      }
    }
    // Down again: the next return comes here with the same pods.
    const isDown = ports.isUp?.() === false;
    if (isDown) for (const state of failed) state.isRemounting = false;
    left = isDown ? [] : failed;
    if (left.length > 0) await sleep(client.connection.clock, againMs);
  }
}

/** Before any volume goes: pods may share one. */
async function endAll(ports: RuntimePorts, states: readonly PodState[]): Promise<void> {
  const { processes, client } = ports;
  const attempts = states.flatMap((state) =>
    [...processes.attempts(state.uid)].map(([name, number]) => attemptOf(state, name, number)),
  );
  for (;;) {
    const running = attempts.filter((one) => processes.look(one).state === 'running');
    if (running.length === 0) return;
    for (const attempt of running) processes.signal(attempt, 'SIGKILL');
    await sleep(client.connection.clock, lookMs);
  }
}
