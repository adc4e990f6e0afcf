/** One cluster of the fleet: a real agent, an API server of either kind, controllers beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { resources } from '../../../src/api/kinds/resources.ts';
import type { OpenApi } from '../../../src/cli/ports.ts';
import { controllerAccount, systemNamespace } from '../../../src/controllers/installation.ts';
import { openApi } from '../../../src/host/kube-access.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import { kubeconfigOf } from '../../../src/kube/kubeconfig.ts';
import type { Agent } from '../../interop/cloud.ts';
import { until } from '../../interop/cloud.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');
const tokenSeconds = 7200;

/** The API server, as somebody who may kill it sees it. */
export interface Api {
  readonly kubeconfigPath: string;
  kill9(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface Member {
  readonly name: string;
  readonly agent: Agent;
  readonly api: Api;
  readonly open: OpenApi;
  /** Of an administrator. */
  readonly client: KubeClient;
  readonly controller: ControllerProcess;
}

/** The administrator's way to an API server of either kind. */
export async function openMember(home: string, kubeconfigPath: string): Promise<OpenApi> {
  return openApi(home, { kubeconfig: kubeconfigPath, context: undefined });
}

export interface ControllerOptions {
  readonly name: string;
  readonly home: string;
  readonly directory: string;
  readonly open: OpenApi;
}

/** `transship controller` with the rights of its service account, and no others. */
export class ControllerProcess {
  readonly #options: ControllerOptions;
  readonly #kubeconfig: string;
  #child: ChildProcess | undefined;

  constructor(options: ControllerOptions, label = 'controller') {
    this.#options = options;
    this.#kubeconfig = join(options.directory, `${options.name}-${label}.kubeconfig`);
  }

  get logPath(): string {
    return `${this.#kubeconfig}.log`;
  }

  get log(): string {
    return readFileSync(this.logPath, 'utf8');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async start(): Promise<void> {
    const { name, home, open } = this.#options;
    await writeAccountKubeconfig(open, name, this.#kubeconfig);
    const log = openSync(this.logPath, 'a', 0o600);
    const words = ['controller', '--kubeconfig', this.#kubeconfig];
    this.#child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', mainPath, ...words],
      { env: { ...process.env, TRANSSHIP_HOME: home }, stdio: ['ignore', log, log] },
    );
    closeSync(log);
  }

  /** Resolves when it is gone. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
}

interface TokenAnswer {
  readonly status?: { readonly token?: string };
}

/** A kubeconfig with a token of the controller's account. */
async function writeAccountKubeconfig(open: OpenApi, name: string, path: string): Promise<void> {
  const account = `/api/v1/namespaces/${systemNamespace}/serviceaccounts/${controllerAccount}`;
  const answer = (await open.client.request('POST', `${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: tokenSeconds },
  })) as TokenAnswer;
  const { server, authorityPem: authority } = open.endpoint;
  const { token = '' } = answer.status ?? {};
  const config = kubeconfigOf([{ name, server, authority, user: { token } }], name);
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
}

/** The object that stands for the cluster itself, and its agent. */
export async function applyLocal(client: KubeClient, name: string, socket: string): Promise<void> {
  await client.apply(resources.clusters, {
    metadata: { name },
    spec: { local: true, agents: [{ name, address: `unix://${socket}` }] },
  });
}

export async function clusterReady(member: Member, cluster: string): Promise<void> {
  await until(`${member.name} to find ${cluster} ready`, async () => {
    const key = { namespace: '', name: cluster };
    const object = await member.client.get(resources.clusters, key).catch(() => undefined);
    const ready = object?.status?.conditions?.find(({ type }) => type === 'Ready');
    return ready?.status === 'True';
  });
}
