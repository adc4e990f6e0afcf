/** From a kubeconfig file to requests, with nothing of `src` between: the suite judges that too. */
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';
import type { KubeRequest, KubeResponse, KubeTransport } from '../../src/kube/transport.ts';
import { at, textAt } from './document.ts';

export interface Credentials {
  readonly server: string;
  readonly ca: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly token?: string;
}

function content(holder: unknown, name: string): string | undefined {
  const inline = at(holder, `${name}-data`);
  if (typeof inline === 'string') return Buffer.from(inline, 'base64').toString('utf8');
  const path = at(holder, name);
  return typeof path === 'string' ? readFileSync(path, 'utf8') : undefined;
}

/** Of the current context. */
export function readKubeconfig(path: string): Credentials {
  const config: unknown = parse(readFileSync(path, 'utf8'));
  const named = (list: string, name: unknown): unknown =>
    (at(config, list) as readonly unknown[]).find((one) => at(one, 'name') === name);
  const context = named('contexts', at(config, 'current-context'));
  const cluster = at(named('clusters', at(context, 'context.cluster')), 'cluster');
  const user = at(named('users', at(context, 'context.user')), 'user');
  const certificate = content(user, 'client-certificate');
  const key = content(user, 'client-key');
  const token = at(user, 'token');
  return {
    server: textAt(cluster, 'server'),
    ca: content(cluster, 'certificate-authority') ?? '',
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(typeof token === 'string' ? { token } : {}),
  };
}

export function tokenKubeconfig(credentials: Credentials, namespace: string): string {
  const cluster = {
    server: credentials.server,
    'certificate-authority-data': Buffer.from(credentials.ca).toString('base64'),
  };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u', namespace } }],
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user: { token: credentials.token } }],
  });
}

export interface HttpsDoor {
  readonly transport: KubeTransport;
  close(): void;
}

export function openDoor(credentials: Credentials): HttpsDoor {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 64,
    ca: credentials.ca,
    cert: credentials.certificate,
    key: credentials.key,
  });
  const transport = (asked: KubeRequest): Promise<KubeResponse> => {
    const { promise, resolve, reject } = Promise.withResolvers<KubeResponse>();
    const { token } = credentials;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const length = asked.body === undefined ? {} : { 'content-length': asked.body.length };
    const sent = request(`${credentials.server}${asked.path}`, {
      agent,
      method: asked.method,
      headers: { 'user-agent': 'conformance/1', ...authorization, ...asked.headers, ...length },
      ...(asked.signal === undefined ? {} : { signal: asked.signal }),
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const headers = Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
      );
      resolve({ status: response.statusCode ?? 0, headers, body: response });
    });
    sent.end(asked.body);
    return promise;
  };
  return { transport, close: () => agent.destroy() };
}
