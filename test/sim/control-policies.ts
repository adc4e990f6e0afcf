/** History policies: objects and agents have the same, and those that are deleted go. */
import type { HistoryPolicy } from '../../src/api/kinds/history-policy.ts';
import type { Volume } from '../../src/api/kinds/volume.ts';
import { parseDuration } from '../../src/base/units.ts';
import type { SimCluster } from './control-world.ts';

export function policiesLeft({ name: at, api, agent }: SimCluster): string[] {
  const policies = agent?.running?.agent.parts.policies;
  if (agent === undefined) return [];
  if (policies === undefined) return [`agent ${at} is down`];
  const objects = api.list<HistoryPolicy>('HistoryPolicy');
  const left: string[] = [];
  for (const name of policies.names()) {
    if (objects.some(({ metadata }) => metadata.name === name)) continue;
    left.push(`policy ${at}/${name} is at the agent, and there is no object`);
  }
  for (const object of objects) {
    const { name = '', deletionTimestamp } = object.metadata;
    if (deletionTimestamp !== undefined) {
      const isUsed = isUsedIn(api.list<Volume>('Volume'), name) || isAssigned(agent, name);
      if (!isUsed) left.push(`policy ${at}/${name} is being deleted`);
      continue;
    }
    if (!policies.names().includes(name)) left.push(`policy ${at}/${name} is not at the agent`);
    else if (!isSame(object, policies.find(name))) left.push(`policy ${at}/${name} differs`);
  }
  return left;
}

function isUsedIn(volumes: readonly Volume[], name: string): boolean {
  return volumes.some(({ spec }) => spec.historyPolicy === name);
}

function isAssigned(agent: NonNullable<SimCluster['agent']>, name: string): boolean {
  const { policies } = agent.running!.agent.parts;
  const all = agent.running!.pool.volumes();
  return all.some((volume) => policies.nameFor(volume.id, volume.status().policy) === name);
}

function isSame({ spec }: HistoryPolicy, known: ReturnType<typeof Object>): boolean {
  const { secondsMs, minutesMs, hoursMs, daysMs } = known as Readonly<Record<string, number>>;
  const { seconds = '0', minutes = '0', hours = '0', days = '0' } = spec;
  return (
    parseDuration(seconds) === secondsMs &&
    parseDuration(minutes) === minutesMs &&
    parseDuration(hours) === hoursMs &&
    parseDuration(days) === daysMs
  );
}
