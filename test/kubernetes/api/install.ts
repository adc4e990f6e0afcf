/** Installing into an API server and removing again, by the program itself. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { missingRights } from '../../../src/controllers/cluster/rights.ts';
import {
  controllerAccount,
  controllerRules,
  controllerSystemRules,
} from '../../../src/controllers/installation.ts';
import {
  installerObjects,
  installerRole,
  installerRules,
} from '../../../src/controllers/installation/installer.ts';
import { systemNamespace } from '../../../src/controllers/installation/names.ts';
import { createClock } from '../../../src/host/clock.ts';
import { openKubeTransport } from '../../../src/host/kube-transport.ts';
import { createRandom } from '../../../src/host/random.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import { type Case, type CaseContext, cases, type OtherUser } from '../case.ts';
import { at, listAt, textAt } from '../document.ts';
import { readKubeconfig, tokenKubeconfig } from '../kubeconfig.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function transship(t: CaseContext, line: string, as?: OtherUser): Promise<Ran> {
  const kubeconfig = as?.kubeconfigPath ?? t.kubeconfigPath;
  const words = ['--kubeconfig', kubeconfig, ...line.split(' ')];
  const child = spawn(process.execPath, ['--no-warnings', mainPath, ...words], {
    env: { ...process.env, TRANSSHIP_HOME: join(t.directory, 'home') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ran = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, ...ran };
}

const system = `/api/v1/namespaces/${systemNamespace}`;
const volumes = '/apis/transship.dev/v1alpha1/volumes';
const labelled = '?labelSelector=app.kubernetes.io%2Fpart-of%3Dtransship';
const clusterScoped = [
  '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  '/apis/storage.k8s.io/v1/storageclasses',
  '/apis/storage.k8s.io/v1/csidrivers',
];

async function whatIsLeft(t: CaseContext): Promise<readonly string[]> {
  const lists = await Promise.all(
    clusterScoped.map(async (path) => listAt(await t.rest.get(`${path}${labelled}`), 'items')),
  );
  const all = await t.rest.get('/apis/apiextensions.k8s.io/v1/customresourcedefinitions');
  const kinds = listAt(all, 'items').filter((one) => at(one, 'spec.group') === 'transship.dev');
  const { status } = await t.rest.send('GET', system);
  const names = [...lists.flat(), ...kinds].map((one) => textAt(one, 'metadata.name'));
  return status === 404 ? names : [...names, `namespace: ${status}`];
}

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const roles = {
  everywhere: `${rbac}/clusterroles/transship-controller`,
  system: `${rbac}/namespaces/${systemNamespace}/roles/transship-controller`,
};

type Rule = (typeof controllerRules)[number];

/** The rules without one verb of one of them, and what is then missing. */
function lacking(rules: readonly Rule[], where: string) {
  return rules.flatMap((rule, index) =>
    rule.verbs.map((verb) => {
      const rest = rule.verbs.filter((one) => one !== verb);
      const fewer = { ...rule, verbs: rest };
      const others = rules.filter((_, at) => at !== index);
      const names = rule.resourceNames ?? [''];
      const missing = rule.apiGroups.flatMap((group) =>
        rule.resources.flatMap((resource) => {
          const what = group === '' ? resource : `${resource}.${group}`;
          return names.map((name) => `${verb} ${what}${name && ` ${name}`}${where}`);
        }),
      );
      return { rules: rest.length === 0 ? others : [...others, fewer], missing };
    }),
  );
}

/** The controllers, as their pods would come. */
async function controllersOf(t: CaseContext): Promise<KubeClient> {
  const path = `${system}/serviceaccounts/${controllerAccount}/token`;
  const token = textAt(
    await t.rest.post(path, { spec: { expirationSeconds: 3600 } }),
    'status.token',
  );
  const { server, ca } = readKubeconfig(t.kubeconfigPath);
  const text = tokenKubeconfig({ server, ca, token }, systemNamespace);
  const transport = await openKubeTransport({ kubeconfigText: text });
  const log = { log: () => undefined };
  const ports = { clock: createClock(), random: createRandom(), log };
  return createKubeClient({ cluster: 'here', transport, ...ports, fieldManager: 'transship' });
}

/** What deploy/installer.yaml grants, bound as docs/reference/rights.md says. */
async function installerOf(t: CaseContext): Promise<OtherUser> {
  const installer = await t.user(installerRules, { everywhere: true });
  const [namespace, , role] = installerObjects();
  await t.rest.post('/api/v1/namespaces', namespace);
  const place = `${rbac}/namespaces/${systemNamespace}`;
  await t.rest.post(`${place}/roles`, role);
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: installerRole };
  await t.rest.post(`${place}/rolebindings`, {
    metadata: { name: installerRole },
    roleRef,
    subjects: [{ apiGroup: roleRef.apiGroup, kind: 'User', name: installer.name }],
  });
  return installer;
}

export const installCases: readonly Case[] = cases('installation', {
  'all is applied once; it is refused while there is a volume; nothing is left behind': {
    alone: true,
    run: async (t) => {
      const values = '--migrations --set networkPolicies=true --set peers.service=NodePort';
      const first = await transship(t, `install --name here --no-wait ${values}`);
      assert.equal(first.code, 0, first.err);
      assert.match(first.out, /^daemonset\/transship-agent created$/m);
      const again = await transship(t, `install --name here --no-wait -o json ${values}`);
      assert.equal(again.code, 0, again.err);
      const { applied } = JSON.parse(again.out) as { applied: readonly { outcome: string }[] };
      assert.deepEqual(
        applied.filter(({ outcome }) => outcome !== 'unchanged'),
        [],
      );
      await t.rest.post(volumes, {
        apiVersion: 'transship.dev/v1alpha1',
        kind: 'Volume',
        metadata: { name: 'kept', finalizers: ['transship.dev/volume'] },
        spec: { size: '1Gi' },
      });
      const refused = await transship(t, 'uninstall --yes');
      assert.notEqual(refused.code, 0);
      assert.match(refused.err, /volumes: kept/);
      const waits = await transship(t, 'uninstall --yes --delete-volumes --timeout 2s');
      assert.equal(waits.code, 5, waits.err);
      assert.match(waits.err, /Volume kept waits for transship\.dev\/volume/);
      const gone = await transship(t, 'uninstall --yes --delete-volumes --force --crds');
      assert.equal(gone.code, 0, gone.err);
      assert.deepEqual(await whatIsLeft(t), []);
    },
  },
  'the rights of an installation suffice, and each that is taken away is named': {
    alone: true,
    run: async (t) => {
      const made = await transship(t, 'install --name here --no-wait');
      assert.equal(made.code, 0, made.err);
      const client = await controllersOf(t);
      const until = async (wanted: readonly string[]): Promise<void> => {
        let found: readonly string[] = [];
        // Authorizers hear of roles a moment later.
        await t
          .until(wanted.join(), async () => {
            found = await missingRights(client);
            return isDeepStrictEqual(found, wanted) ? true : undefined;
          })
          .catch(() => assert.deepEqual(found, wanted));
      };
      await until([]);
      for (const [path, rules, where] of [
        [roles.everywhere, controllerRules, ''],
        [roles.system, controllerSystemRules, ` in ${systemNamespace}`],
      ] as const) {
        for (const less of lacking(rules, where)) {
          await t.rest.patch(path, { rules: less.rules });
          await until(less.missing);
        }
        await t.rest.patch(path, { rules });
        await until([]);
      }
      const gone = await transship(t, 'uninstall --yes --crds');
      assert.equal(gone.code, 0, gone.err);
      assert.deepEqual(await whatIsLeft(t), []);
    },
  },
  'somebody with nothing but the rights of an installer installs, and removes it again': {
    alone: true,
    run: async (t) => {
      const installer = await installerOf(t);
      const values = '--migrations --set networkPolicies=true --set peers.service=NodePort';
      const made = await transship(t, `install --name here --no-wait ${values}`, installer);
      assert.equal(made.code, 0, made.err);
      const gone = await transship(t, 'uninstall --yes --crds', installer);
      assert.equal(gone.code, 0, gone.err);
      assert.deepEqual(await whatIsLeft(t), []);
    },
  },
  'whoever lacks a right hears which, and goes on with it': {
    alone: true,
    run: async (t) => {
      const verbs = ['get', 'list', 'create', 'patch', 'update'];
      const most = [
        { apiGroups: ['apiextensions.k8s.io', 'transship.dev'], resources: ['*'], verbs },
        { apiGroups: [''], resources: ['*'], verbs },
      ];
      const few = await t.user(most, { everywhere: true });
      const { code, err } = await transship(t, 'install --name here --no-wait', few);
      assert.notEqual(code, 0);
      assert.match(err, /ClusterRole transship-controller cannot be applied/);
      assert.match(err, /clusterroles/);
      assert.match(err, /transship install --dry-run/);
      const gone = await transship(t, 'uninstall --yes --crds');
      assert.equal(gone.code, 0, gone.err);
      assert.deepEqual(await whatIsLeft(t), []);
    },
  },
});
