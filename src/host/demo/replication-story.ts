/** The third part of the demo: a namespace is replicated beside its source, after its checks. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Replication } from '../../api/kinds/replication.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { openApi } from '../kube-access.ts';
import { DemoFailure } from './narrator.ts';
import type { Stage } from './stage.ts';

export const steps = 1;

const namespace = 'bakery';
const at = ['--cluster', 'east'] as const;
/** Seconds on a quiet machine. */
const patienceMs = 180_000;

/** Adds a numbered line several times a second: what it had written stays as it was. */
const oven =
  'n=$(wc -l <"$TRANSSHIP_MOUNT_DATA/log" 2>/dev/null || echo 0); ' +
  'while n=$((n + 1)); do echo "$n" | tee -a "$TRANSSHIP_MOUNT_DATA/log"; sleep 0.1; done';

function bakery(): readonly object[] {
  const named = (apiVersion: string, kind: string, name: string, rest: object) => {
    return { apiVersion, kind, metadata: { namespace, name }, ...rest };
  };
  const selector = { matchLabels: { app: 'oven' } };
  const claim = {
    metadata: { name: 'data' },
    spec: {
      storageClassName: 'directory',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '64Mi' } },
    },
  };
  const container = {
    name: 'main',
    image: 'none',
    command: ['sh', '-c', oven],
    volumeMounts: [{ name: 'data', mountPath: '/run/bakery' }],
  };
  const spec = { terminationGracePeriodSeconds: 1, containers: [container] };
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    named('v1', 'ConfigMap', 'recipe', { data: { flour: '500g' } }),
    named('v1', 'Service', 'oven', { spec: { clusterIP: 'None', selector: { app: 'oven' } } }),
    named('apps/v1', 'StatefulSet', 'oven', {
      spec: {
        serviceName: 'oven',
        selector,
        template: { metadata: { labels: selector.matchLabels }, spec },
        volumeClaimTemplates: [claim],
      },
    }),
  ];
}

export async function replicate(stage: Stage): Promise<void> {
  const { narrator, home } = stage.o;
  narrator.step('Replicate a namespace that runs on, after checks that one may answer');
  const file = path.join(home, 'bakery.json');
  fs.writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: bakery() }));
  await stage.command(['apply', '-f', file, ...at], ['apply', '-f', 'bakery.json', ...at]);
  const before = await baked(stage, 'east', 10);
  await stage.command(['replicate', 'run', namespace, '--from', 'east', '--to', 'west', ...at]);
  const halted = await whenIn(stage, 'Halted');
  const { compatible = 0, actionable, incompatible, checks = [] } = halted;
  const missing = checks.find(({ name }) => name === 'NamespaceMissing');
  narrator.claim(
    actionable === 1 && incompatible === 0 && missing?.result === 'Actionable',
    `${compatible} checks are compatible, one is actionable, and it waits: ${missing?.message}`,
  );
  await stage.command(['replicate', 'decide', namespace, 'remediate', ...at]);
  const done = await whenIn(stage, 'Done');
  if (done.state !== 'Success') throw new DemoFailure(JSON.stringify(done.conditions));
  const there = await baked(stage, 'west', before + 1);
  const here = await baked(stage, 'east', there);
  narrator.claim(
    there > before && here >= there,
    `remediated, it started by itself: the copy at west goes on from its data (${there} lines), ` +
      `and the source never stopped (${here})`,
  );
  await stage.command(['replicate', 'delete', namespace, '--yes', ...at]);
  const left = await leftAt(stage, 'west');
  narrator.claim(left.length === 0, 'deleted, nothing of it is left at west');
}

async function whenIn(stage: Stage, phase: string): Promise<NonNullable<Replication['status']>> {
  let status: Replication['status'];
  await stage.until(
    `the replication is ${phase}`,
    async () => {
      const words = ['replicate', 'show', namespace, ...at, '-o', 'json'];
      const text = await stage.o.programs.transship(words);
      status = (JSON.parse(text) as Replication).status;
      return status?.phase === phase;
    },
    patienceMs,
  );
  return status ?? {};
}

/** The last line that its pod printed, once there are so many. */
async function baked(stage: Stage, cluster: string, atLeast: number): Promise<number> {
  const { client } = await openApi(stage.o.home, { cluster });
  const log = `/api/v1/namespaces/${namespace}/pods/oven-0/log?tailLines=1`;
  let last = 0;
  await stage.until(`the oven at ${cluster} has baked ${atLeast}`, async () => {
    last = Number(String(await client.request('GET', log).catch(() => '')).trim());
    return last >= atLeast;
  });
  return last;
}

async function leftAt(stage: Stage, cluster: string): Promise<readonly string[]> {
  const left: string[] = [];
  for (const resource of ['configmaps', 'statefulsets', 'persistentvolumeclaims']) {
    const words = ['get', resource, '-n', namespace, '--cluster', cluster, '-o', 'json'];
    const { items } = JSON.parse(await stage.o.programs.transship(words)) as {
      readonly items: readonly KubeObject[];
    };
    left.push(...items.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
  }
  return left.filter((name) => !name.endsWith('kube-root-ca.crt'));
}
