/** Missing rights, and credentials that are worth nothing any more: said, and waited for. */
import assert from 'node:assert/strict';
import { introduce } from '../../../src/cli/api/peering.ts';
import { resources } from '../../../src/api/kinds/resources.ts';
import {
  controllerAccount,
  controllerRules,
  migrateRole,
  migrateRules,
  peerAccount,
  peerRole,
  peerRules,
  systemNamespace,
} from '../../../src/controllers/installation.ts';
import { createClock } from '../../../src/host/clock.ts';
import type { KubeObject, ResourceType } from '../../../src/kube/objects.ts';
import { namespaces, secrets } from '../../../src/kube/resources.ts';
import { roleBindings } from '../../../src/kube/rights.ts';
import { fleetCases } from './case.ts';
import { type FleetContext, MiB } from './context.ts';
import { clusterReady, type Member } from './member.ts';
import { hubNamespace, makePlan, renamed, start, succeeded } from './migrating.ts';
import { makeShop, shopOf, stopShop, written } from './shop.ts';

const clusterRoles: ResourceType<KubeObject> = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  plural: 'clusterroles',
  kind: 'ClusterRole',
  namespaced: false,
};

interface Binding extends KubeObject {
  readonly roleRef?: { readonly apiGroup: string; readonly kind: string; readonly name: string };
  readonly subjects?: readonly object[];
}

const clusterBindings: ResourceType<Binding> = {
  ...clusterRoles,
  plural: 'clusterrolebindings',
  kind: 'ClusterRoleBinding',
};

const events: ResourceType<KubeObject & { readonly note?: string }> = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};

export const rightCases = fleetCases({
  'the peer may not create PersistentVolumes: said with the rule, and goes on when it may': {
    alone: true,
    run: async (t) => {
      const { east, west } = t;
      await t.filledClaim(east, 'data', MiB);
      const without = peerRules.flatMap(({ apiGroups, resources: of, verbs }) => {
        if (!of.includes('persistentvolumes')) return [{ apiGroups, resources: of, verbs }];
        const rest = of.filter((one) => one !== 'persistentvolumes');
        const fewer = verbs.filter((verb) => verb !== 'create');
        return [
          { apiGroups, resources: rest, verbs },
          { apiGroups, resources: ['persistentvolumes'], verbs: fewer },
        ];
      });
      await setRules(west, peerRole, without);
      await setRules(west, migrateRole, []);
      try {
        await t.teleport({ name: 'data', claim: 'data' });
        const blocked = { type: 'Ready', status: 'False', reason: 'Forbidden' };
        const { status } = await t.condition(east, resources.teleports, 'data', blocked);
        const succeeded = status?.conditions?.find(({ type }) => type === 'Succeeded');
        assert.equal(succeeded?.status, 'Unknown');
        assert.match(succeeded.message, /right to create persistentvolumes/);
        assert.match(succeeded.message, /peer-east/);
      } finally {
        await setRules(west, peerRole, peerRules);
        await setRules(west, migrateRole, migrateRules);
      }
      await t.succeeded('data');
    },
  },

  'the controller may not create Volumes: the claim hears of it, and goes on when it may': {
    alone: true,
    run: async (t) => {
      const { east } = t;
      const [ours, ...others] = controllerRules;
      const verbs = ours!.verbs.filter((verb) => verb !== 'create');
      await setRules(east, 'transship-controller', [{ ...ours!, verbs }, ...others]);
      await setRules(east, migrateRole, []);
      try {
        await t.makeClaim(east, 'data');
        await t.until('an event that names the rule', async () => {
          for await (const { note = '' } of east.client.list(events, { namespace: t.namespace })) {
            if (note.includes('right to create volumes')) return true;
          }
          return undefined;
        });
      } finally {
        await setRules(east, 'transship-controller', controllerRules);
        await setRules(east, migrateRole, migrateRules);
      }
      await t.bound(east, 'data');
    },
  },

  'the token of a peer is revoked: Unauthorized until there is a new one': {
    alone: true,
    run: async (t) => {
      const { east, west } = t;
      await t.filledClaim(east, 'data', MiB);
      const name = peerAccount(east.name);
      await west.client.delete(secrets, { namespace: systemNamespace, name });
      await t.condition(east, resources.clusters, west.name, {
        type: 'Reachable',
        status: 'False',
        reason: 'Unauthorized',
      });
      await t.teleport({ name: 'data', claim: 'data' });
      const waiting = await waitingFor(t, 'data', 'Unauthorized');
      assert.match(waiting, /west/);
      await introduce({
        hub: east.open,
        hubName: east.name,
        cluster: west.open,
        clusterName: west.name,
        clock: createClock(),
        migrations: true,
      });
      await t.succeeded('data');
      await clusterReady(east, west.name);
    },
  },

  'a namespace moves with rights in single namespaces, and what is missing is named': {
    alone: true,
    long: true,
    run: async (t) => {
      const { east, west } = t;
      await west.client.create(namespaces, { metadata: { name: shopOf(t) } });
      await makeShop(t, east, 'directory');
      const unbound = [await unbind(east), await unbind(west)];
      try {
        await makePlan(t, { ...renamed, createNamespaces: false });
        const name = await start(t, 'Cutover');
        for (const [member, namespace, account] of [
          [east, hubNamespace, controllerAccount],
          [east, shopOf(t), controllerAccount],
          [west, shopOf(t), peerAccount(east.name)],
        ] as const) {
          const key = { namespace: hubNamespace, name };
          await t.until(`${member.name} ${namespace} to be named`, async () => {
            const one = await east.client.get(resources.migrations, key);
            const said = one?.status?.conditions?.find(({ type }) => type === 'Succeeded');
            const { message = '' } = said ?? {};
            return message.includes(member.name) && message.includes(namespace) ? true : undefined;
          });
          await bind(member, namespace, account);
        }
        await succeeded(t, name);
        await written(t, west, 10);
      } finally {
        for (const [i, member] of [east, west].entries()) {
          for (const one of unbound[i] ?? []) await member.client.create(clusterBindings, one);
        }
        await stopShop(t);
        const key = { namespace: hubNamespace, name: migrateRole };
        await east.client.delete(roleBindings, key);
      }
    },
  },
});

/** Takes away what allows moves everywhere; what is needed to bring it back. */
async function unbind({ client }: Member): Promise<readonly Binding[]> {
  const found: Binding[] = [];
  for await (const one of client.list(clusterBindings)) {
    if (one.roleRef?.name === migrateRole) found.push(one);
  }
  for (const { metadata } of found) {
    await client.delete(clusterBindings, { namespace: '', name: metadata.name ?? '' });
  }
  return found.map(({ metadata: { name, labels = {} }, roleRef, subjects }) => {
    return { metadata: { name, labels }, roleRef, subjects } as Binding;
  });
}

/** As the reference of rights says. */
async function bind({ client }: Member, namespace: string, account: string): Promise<void> {
  await client.create<Binding>(roleBindings as ResourceType<Binding>, {
    metadata: { namespace, name: migrateRole },
    roleRef: { apiGroup: clusterRoles.group, kind: 'ClusterRole', name: migrateRole },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: systemNamespace }],
  });
}

async function setRules({ client }: Member, name: string, rules: readonly object[]): Promise<void> {
  await client.patch(clusterRoles, { namespace: '', name }, { rules });
}

/** What a Teleport waits with this reason for. */
async function waitingFor(t: FleetContext, name: string, reason: string): Promise<string> {
  const blocked = { type: 'Ready', status: 'False', reason };
  const { status } = await t.condition(t.east, resources.teleports, name, blocked);
  const succeeded = status?.conditions?.find(({ type }) => type === 'Succeeded');
  assert.equal(succeeded?.status, 'Unknown');
  return succeeded.message;
}
