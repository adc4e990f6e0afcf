// The controllers with nothing but the rights of an installation: what is missing is said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, clusters } from '../../src/api/kinds/cluster.ts';
import { ensureAgentCertificates } from '../../src/controllers/agents/certificates.ts';
import { ensureLocalCluster } from '../../src/controllers/agents/local.ts';
import { applyObjects } from '../../src/controllers/install.ts';
import { chosenObjects, definitions } from '../../src/controllers/installation/bundle.ts';
import { chooseValues } from '../../src/controllers/installation/values.ts';
import {
  controllerAccount,
  controllerRules,
  controllerSystemRules,
  systemNamespace,
} from '../../src/controllers/installation.ts';
import { missingRights } from '../../src/controllers/cluster/rights.ts';
import { startControllers } from '../../src/controllers/manager.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import { admin, countingRandom, MemoryPersistence } from '../../src/embedded/server/testing.ts';
import { createCertificateMaker } from '../../src/host/agent-certificates.ts';
import { createClock } from '../../src/host/clock.ts';
import { controllerPorts } from '../../src/host/controllers.ts';
import { createMetrics } from '../../src/host/metrics.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { clusterRoles, roles } from '../../src/kube/rights.ts';

const patienceMs = 60_000;
const account = {
  name: `system:serviceaccount:${systemNamespace}:${controllerAccount}`,
  groups: ['system:serviceaccounts', 'system:authenticated'],
};

/** An API server with what an installation puts there. */
async function installed() {
  const messages: string[] = [];
  const log = { log: (_level: string, text: string) => void messages.push(text) };
  const clock = createClock();
  const random = countingRandom();
  const persistence = new MemoryPersistence();
  const library = createSchemaLibrary();
  const server = createApiServer({ clock, random, log, library, persistence });
  const clientOf = (user: typeof admin) =>
    createKubeClient({
      cluster: 'east',
      transport: (request) => server.handle(request, user),
      clock,
      random,
      log,
      fieldManager: user === admin ? 'transship' : 'transship-controller',
    });
  const boss = clientOf(admin);
  await applyObjects(boss, definitions());
  await applyObjects(boss, chosenObjects(chooseValues('1.0.0', ['clusterName=east'])));
  return { boss, own: clientOf(account), server, messages };
}

test('controllers of an installation say which of their rights they lack', async (t) => {
  const { boss, own, server, messages } = await installed();
  await ensureLocalCluster(own, 'east');
  const agentTls = await ensureAgentCertificates(
    own,
    createCertificateMaker(() => Date.now()),
  );
  const identity = 'one';
  const ports = controllerPorts(own, {
    metrics: createMetrics(),
    identity,
    agentTls: () => agentTls,
  });
  const controllers = startControllers(ports, { identity, leaderElection: true });
  t.after(async () => {
    await controllers.stop();
    await ports.close();
    await server.close();
  });

  const permitted = async (status: string): Promise<string> => {
    const deadline = performance.now() + patienceMs;
    for (let port = 1; ; port = (port % 1000) + 1) {
      const at = { namespace: '', name: 'east' };
      const found = await boss.get<Cluster>(clusters, at);
      const condition = found?.status?.conditions?.find(({ type }) => type === 'Permitted');
      if (condition?.status === status) return condition.message;
      const said = `${JSON.stringify(found?.status?.conditions)} ${messages.slice(-5).join('; ')}`;
      assert.ok(performance.now() < deadline, said);
      // Another spec is looked at at once.
      const { agentPods } = found?.spec ?? {};
      await boss.patch(clusters, at, { spec: { agentPods: { ...agentPods, port } } });
      await sleep(200);
    }
  };
  await permitted('True');
  const name = 'transship-controller';
  const rules = controllerRules.map(({ verbs, ...rule }) => {
    const isMeant = rule.resources.includes('persistentvolumes');
    return { ...rule, verbs: isMeant ? verbs.filter((verb) => verb !== 'delete') : verbs };
  });
  await boss.patch(clusterRoles, { namespace: '', name }, { rules });
  assert.match(
    await permitted('False'),
    /may not delete persistentvolumeclaims, delete persistentvolumes; grant them/,
  );
  await boss.patch(clusterRoles, { namespace: '', name }, { rules: controllerRules });
  await permitted('True');
});

/** Each with one verb of one resource less, and that as a condition names it. */
function* withoutOne(
  rules: typeof controllerRules,
  place: string,
): Generator<readonly [rules: typeof controllerRules, name: string]> {
  for (const [index, rule] of rules.entries()) {
    const { apiGroups, resources, verbs, resourceNames = [''] } = rule;
    for (const resource of resources) {
      for (const verb of verbs) {
        const rest = resources.filter((one) => one !== resource);
        const less = [
          { ...rule, resources: rest },
          { ...rule, resources: [resource], verbs: verbs.filter((one) => one !== verb) },
        ].filter((one) => one.resources.length > 0 && one.verbs.length > 0);
        const [group = ''] = apiGroups;
        const what = group === '' ? resource : `${resource}.${group}`;
        const names = resourceNames.map((one) => {
          return `${verb} ${what}${one === '' ? '' : ` ${one}`}${place}`;
        });
        yield [rules.toSpliced(index, 1, ...less), names.join(', ')];
      }
    }
  }
}

test('each right of the controllers is named when it alone is taken away', async (t) => {
  const { boss, own, server } = await installed();
  t.after(() => server.close());
  assert.deepEqual(await missingRights(own), []);
  let count = 0;
  const cluster = { namespace: '', name: 'transship-controller' };
  for (const [rules, name] of withoutOne(controllerRules, '')) {
    await boss.patch(clusterRoles, cluster, { rules });
    assert.equal((await missingRights(own)).join(', '), name);
    count++;
  }
  await boss.patch(clusterRoles, cluster, { rules: controllerRules });
  const system = { namespace: systemNamespace, name: 'transship-controller' };
  for (const [rules, name] of withoutOne(controllerSystemRules, ` in ${systemNamespace}`)) {
    await boss.patch(roles, system, { rules });
    assert.equal((await missingRights(own)).join(', '), name);
    count++;
  }
  assert.ok(count > 40, `${count} rights`);
});
