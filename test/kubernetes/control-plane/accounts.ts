/** Service accounts that may do just what a test says. */
import { createHash, randomUUID, sign } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlPlane } from './control-plane.ts';
import { tokenIssuer } from './flags.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import type { Answer, Exchange, Requester } from './request.ts';

const rbac = 'rbac.authorization.k8s.io';
const pollMs = 20;
const allowedWithinMs = 10_000;
/** Below this an API server issues no token, so such a one is signed here. */
const issuedSecondsMin = 600;

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface AccountOptions {
  readonly name: string;
  /** Made if it is not there. */
  readonly namespace: string;
  /** In its namespace. */
  readonly rules?: readonly PolicyRule[];
  /** Everywhere. */
  readonly clusterRules?: readonly PolicyRule[];
  /**
   * An hour if absent; may be negative. An API server takes a token for a minute longer than it
   * says, and for ten seconds more if it saw it before.
   */
  readonly expiresInSeconds?: number;
}

export interface Account {
  /** As the API server calls it. */
  readonly user: string;
  readonly token: string;
  readonly kubeconfigPath: string;
}

/** Resolves when what the rules allow is allowed. */
export async function createAccount(
  plane: ControlPlane,
  options: AccountOptions,
): Promise<Account> {
  const { name, namespace, rules = [], clusterRules = [] } = options;
  const { admin } = plane;
  const user = `system:serviceaccount:${namespace}:${name}`;
  const metadata = { name, namespace };
  await create(admin, '/api/v1/namespaces', { metadata: { name: namespace } });
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  await create(admin, path, { metadata });
  await grant(admin, { kind: 'Role', metadata, rules });
  await grant(admin, {
    kind: 'ClusterRole',
    metadata: { name: `${namespace}:${name}` },
    rules: clusterRules,
    account: metadata,
  });
  await untilAllowed(admin, user, [
    ...rules.map((rule) => ({ rule, namespace })),
    ...clusterRules.map((rule) => ({ rule })),
  ]);
  const token = await issueToken(plane, metadata, options.expiresInSeconds ?? 3600);
  const id = createHash('sha256').update(token).digest('hex').slice(0, 8);
  const kubeconfigPath = join(plane.directory, `${namespace}-${name}-${id}.kubeconfig`);
  const { url, caPem } = plane;
  writeKubeconfig({
    path: kubeconfigPath,
    name: plane.name,
    url,
    caPem,
    user: name,
    identity: { token },
  });
  return { user, token, kubeconfigPath };
}

interface AccountKey {
  readonly name: string;
  readonly namespace: string;
}

/** A token of an account that exists. */
export async function issueToken(
  plane: ControlPlane,
  { name, namespace }: AccountKey,
  expiresInSeconds: number,
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`;
  if (expiresInSeconds >= issuedSecondsMin) {
    const body = { spec: { expirationSeconds: expiresInSeconds } };
    const issued = await must(plane.admin, { method: 'POST', path: `${path}/token`, body });
    return (issued.json as { status: { token: string } }).status.token;
  }
  const found = await must(plane.admin, { path });
  const { uid } = (found.json as { metadata: { uid: string } }).metadata;
  const now = Math.floor(Date.now() / 1000);
  const begin = Math.min(now, now + expiresInSeconds) - 60;
  const claims = {
    iss: tokenIssuer,
    aud: [tokenIssuer],
    sub: `system:serviceaccount:${namespace}:${name}`,
    iat: begin,
    nbf: begin,
    exp: now + expiresInSeconds,
    jti: randomUUID(),
    'kubernetes.io': { namespace, serviceaccount: { name, uid } },
  };
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const body = `${encode({ alg: 'ES256', typ: 'JWT' })}.${encode(claims)}`;
  const key = { key: plane.tokenKeyPem, dsaEncoding: 'ieee-p1363' } as const;
  return `${body}.${sign('sha256', Buffer.from(body), key).toString('base64url')}`;
}

interface Grant {
  readonly kind: 'Role' | 'ClusterRole';
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules: readonly PolicyRule[];
  /** Who gets it, if that is not whom the role is named after. */
  readonly account?: AccountKey;
}

async function grant(admin: Requester, { kind, metadata, rules, account }: Grant): Promise<void> {
  if (rules.length === 0) return;
  const { name, namespace } = metadata;
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
  const plural = kind === 'Role' ? 'role' : 'clusterrole';
  const base = `/apis/${rbac}/v1${scope}/${plural}`;
  await create(admin, `${base}s`, { metadata, rules });
  await create(admin, `${base}bindings`, {
    metadata,
    roleRef: { apiGroup: rbac, kind, name },
    subjects: [{ kind: 'ServiceAccount', ...(account ?? { name, namespace }) }],
  });
}

interface Allowance {
  readonly rule: PolicyRule;
  readonly namespace?: string;
}

/** The authorizer learns of roles through a watch, a moment after they are written. */
async function untilAllowed(
  admin: Requester,
  user: string,
  allowances: readonly Allowance[],
): Promise<void> {
  const deadline = performance.now() + allowedWithinMs;
  for (const { rule, namespace } of allowances) {
    const [resource = '', subresource] = (rule.resources[0] ?? '').split('/');
    const resourceAttributes = {
      group: rule.apiGroups[0],
      resource,
      subresource,
      verb: rule.verbs[0],
      name: rule.resourceNames?.[0],
      namespace,
    };
    const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const body = { spec: { user, resourceAttributes } };
    for (;;) {
      const { json } = await must(admin, { method: 'POST', path, body });
      if ((json as { status: { allowed: boolean } }).status.allowed) break;
      if (performance.now() > deadline) throw new Error(`${user} is still not allowed its rules`);
      await sleep(pollMs);
    }
  }
}

/** One that is there already is as good. */
async function create(admin: Requester, path: string, body: object): Promise<void> {
  const { status, text } = await admin.send({ method: 'POST', path, body });
  if (status !== 201 && status !== 409) throw new Error(`POST ${path}: ${status} ${text}`);
}

async function must(admin: Requester, exchange: Exchange): Promise<Answer> {
  const answer = await admin.send(exchange);
  if (answer.status < 300) return answer;
  throw new Error(`${exchange.method ?? 'GET'} ${exchange.path}: ${answer.status} ${answer.text}`);
}
