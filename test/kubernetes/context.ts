/** What one case gets: a namespace, users, kubectl, recordings; and what ends with it. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CaseContext, Cluster, Defined, OtherUser, PolicyRule } from './case.ts';
import { at, changed, type Doc, steady, textAt } from './document.ts';
import { type Credentials, openDoor, tokenKubeconfig } from './kubeconfig.ts';
import { runKubectl } from './kubectl/command.ts';
import type { Recording } from './recording.ts';
import { makeRest, type Rest } from './rest.ts';

export interface Surroundings {
  readonly cluster: Cluster;
  readonly admin: Credentials;
  readonly adminRest: Rest;
  readonly namespace: string;
  readonly directory: string;
  readonly kubectlProgram: string | undefined;
  readonly record: (label: string, value: unknown) => void;
  readonly recording: Recording;
  readonly ended: AbortSignal;
}

const untilMs = 30_000;
const askAgainMs = 25;

export async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + untilMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) assert.fail(`waited ${untilMs / 1000} s for ${what}`);
    await sleep(askAgainMs);
  }
}

/** `configmaps/a` → `/api/v1/namespaces/N/configmaps/a`; `apps/v1/deployments` → `/apis/…`. */
export function resourcePath(namespace: string, resource: string): string {
  const parts = resource.split('/');
  const isGrouped = /^v\d/.test(parts[1] ?? '');
  const root = isGrouped ? `/apis/${parts.slice(0, 2).join('/')}` : '/api/v1';
  return `${root}/namespaces/${namespace}/${parts.slice(isGrouped ? 2 : 0).join('/')}`;
}

const rbac = '/apis/rbac.authorization.k8s.io/v1';

async function makeUser(
  around: Surroundings,
  rules: readonly PolicyRule[],
  everywhere: boolean,
): Promise<Omit<OtherUser, 'rest' | 'kubeconfigPath'>> {
  const { adminRest: rest, namespace } = around;
  const account = `user-${crypto.randomUUID().slice(0, 8)}`;
  const name = everywhere ? `${namespace}-${account}` : account;
  const kind = everywhere ? 'ClusterRole' : 'Role';
  const place = everywhere ? rbac : `${rbac}/namespaces/${namespace}`;
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  await rest.post(resourcePath(namespace, 'serviceaccounts'), { metadata: { name: account } });
  const metadata = { name };
  if (rules.length > 0) {
    await rest.post(`${place}/${kind.toLowerCase()}s`, { apiVersion, kind, metadata, rules });
    await rest.post(`${place}/${kind.toLowerCase()}bindings`, {
      apiVersion,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
    });
  }
  const path = resourcePath(namespace, `serviceaccounts/${account}/token`);
  const made = await rest.post(path, { spec: { expirationSeconds: 3600 } });
  return {
    name: `system:serviceaccount:${namespace}:${account}`,
    token: textAt(made, 'status.token'),
  };
}

/** Authorizers learn of new roles a moment later. */
async function seesRights(rest: Rest, rule: PolicyRule, namespace: string): Promise<boolean> {
  const [resource = '', subresource] = (rule.resources?.[0] ?? '').split('/');
  if (resource === '') return true;
  const review = await rest.send('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: {
      resourceAttributes: {
        namespace,
        verb: rule.verbs[0],
        group: rule.apiGroups?.[0] ?? '',
        resource,
        ...(subresource === undefined ? {} : { subresource }),
        ...(rule.resourceNames === undefined ? {} : { name: rule.resourceNames[0] }),
      },
    },
  });
  return at(review.body, 'status.allowed') === true;
}

async function define(around: Surroundings, definition: Doc): Promise<Defined> {
  const { adminRest: rest, namespace } = around;
  const group = `${namespace}.example.com`;
  const plural = textAt(definition, 'spec.names.plural');
  const name = `${plural}.${group}`;
  const crd = changed(definition, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    'metadata.name': name,
    'spec.group': group,
  });
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  await rest.post(crds, crd);
  const version = textAt(definition, 'spec.versions.0.name');
  const isNamespaced = textAt(definition, 'spec.scope') === 'Namespaced';
  const place = isNamespaced ? `namespaces/${namespace}/` : '';
  const path = `/apis/${group}/${version}/${place}${plural}`;
  await until(`${name} to be served`, async () => {
    const conditions = at(await rest.get(`${crds}/${name}`), 'status.conditions') ?? [];
    const isServed = (conditions as readonly Doc[]).some(
      (one) => one['type'] === 'Established' && one['status'] === 'True',
    );
    return isServed && (await rest.send('GET', path)).status === 200 ? true : undefined;
  });
  const apiVersion = `${group}/${version}`;
  return { group, plural, apiVersion, crd, path, crdPath: `${crds}/${name}` };
}

function kubectlOf(around: Surroundings): Pick<CaseContext, 'kubectl' | 'k'> {
  const { cluster, directory, ended, namespace } = around;
  const kubectl: CaseContext['kubectl'] = (args, { stdin, as, env } = {}) => {
    const program = around.kubectlProgram;
    assert.ok(program !== undefined, 'there is no kubectl on this machine');
    const kubeconfigPath = as?.kubeconfigPath ?? cluster.kubeconfigPath;
    const all = [`--namespace=${namespace}`, ...args];
    return runKubectl({
      program,
      args: all,
      kubeconfigPath,
      directory,
      stdin,
      env,
      signal: ended,
    });
  };
  const k: CaseContext['k'] = async (line, options) => {
    const words = line.match(/(?:'[^']*'|[^\s'])+/g) ?? [];
    const result = await kubectl(
      words.map((word) => word.replaceAll("'", '')),
      options,
    );
    const said = `kubectl ${line}: ${result.code}\n${result.stdout}\n${result.stderr}`;
    assert.equal(result.code, 0, said);
    return result.stdout;
  };
  return { kubectl, k };
}

export function makeContext(around: Surroundings): CaseContext {
  const { cluster, adminRest: rest, namespace, directory, ended } = around;
  const restOf: CaseContext['restOf'] = ({ token }) => {
    const { server, ca } = around.admin;
    const door = openDoor({ server, ca, ...(token === undefined ? {} : { token }) });
    ended.addEventListener('abort', door.close, { once: true });
    return makeRest(door.transport, ended);
  };
  const user: CaseContext['user'] = async (rules, { everywhere = false } = {}) => {
    const made = await makeUser(around, rules, everywhere);
    const { server, ca } = around.admin;
    const kubeconfigPath = join(directory, `${made.name.split(':').at(-1)}.yaml`);
    writeFileSync(kubeconfigPath, tokenKubeconfig({ server, ca, token: made.token }, namespace), {
      mode: 0o600,
    });
    const other = { ...made, kubeconfigPath, rest: restOf({ token: made.token }) };
    for (const rule of rules) {
      await until(`the rights of ${made.name}`, async () =>
        (await seesRights(other.rest, rule, namespace)) ? true : undefined,
      );
    }
    return other;
  };
  mkdirSync(directory, { recursive: true });
  return {
    isReal: cluster.isReal,
    rest,
    namespace,
    directory,
    path: (resource) => resourcePath(namespace, resource),
    user,
    until,
    recorded: (label, value) => around.record(label, steady(value, namespace)),
    restOf,
    restart: () => cluster.restart(),
    forgetHistory: () => cluster.forgetHistory(),
    kubeconfigPath: cluster.kubeconfigPath,
    define: (definition) => define(around, definition),
    ...kubectlOf(around),
  };
}
