/**
 * A real Kubernetes control plane on loopback: etcd, kube-apiserver and kube-controller-manager,
 * with certificates of their own. No scheduler, no nodes: pods stay Pending.
 */
import { mkdirSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Available } from '../../../tools/kubernetes/binaries.ts';
import { createAuthority, type KeyAndCertificate, type Subject } from './certificates.ts';
import { type Component, createComponent } from './component.ts';
import {
  argumentsOf,
  type ComponentName,
  componentNames,
  etcdUrlOf,
  type Files,
  type Layout,
  urlOf,
  writeFiles,
} from './flags.ts';
import { freePorts } from './ports.ts';
import { createRequester, type Requester } from './request.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

const readyWithinMs = 60_000;
const pollMs = 25;
/** A port can be taken between looking for it and listening on it. */
const attemptsMax = 3;

export interface ControlPlaneOptions {
  /** Of the cluster in kubeconfigs. */
  readonly name: string;
  /** For data, keys and logs. Made if it is not there; empty if it is. Its giver removes it. */
  readonly directory: string;
  readonly binaries: Available;
  /** Put behind the usual ones, whose values they replace. */
  readonly extraArgs?: Readonly<Partial<Record<ComponentName, readonly string[]>>>;
  /** IPv4 addresses of the API server beside loopback, for its certificate. */
  readonly addresses?: readonly string[];
}

export interface ControlPlane {
  readonly name: string;
  readonly directory: string;
  readonly url: string;
  readonly etcdUrl: string;
  readonly caPem: string;
  /** Of the group system:masters, which may do everything. */
  readonly admin: Requester;
  readonly adminCertPem: string;
  readonly adminKeyPem: string;
  readonly adminKubeconfigPath: string;
  /** Signs service account tokens; see `accounts.ts`. */
  readonly tokenKeyPem: string;
  /** A certificate for a user who may do nothing until RBAC says so. */
  issueClient(subject: Subject): KeyAndCertificate;
  /** For what serves beside it: nodes, webhooks. On loopback, and at the given IPv4 addresses. */
  issueServer(name: string, addresses?: readonly string[]): KeyAndCertificate;
  /** Undefined while it does not run. */
  pidOf(component: ComponentName): number | undefined;
  kill9(component: ComponentName): Promise<void>;
  /** With SIGTERM, as for an upgrade. */
  stopComponent(component: ComponentName): Promise<void>;
  /** On the port it had; resolves when it is ready. */
  startComponent(component: ComponentName): Promise<void>;
  /** Stops it if it runs, with SIGTERM (etcd with SIGKILL), and starts it. */
  restart(component: ComponentName): Promise<void>;
  /** Alive, with open connections, and silent. */
  pause(component: ComponentName): void;
  resume(component: ComponentName): void;
  /** Ends what was started here, and waits. Can be called twice. */
  stop(): Promise<void>;
}

export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  for (let attempt = 1; ; attempt++) {
    try {
      const again = attempt === 1 ? '.' : `attempt-${attempt}`;
      return await startOnce(options, join(options.directory, again));
    } catch (error) {
      const isTaken = String(error).includes('address already in use');
      if (!isTaken || attempt === attemptsMax) throw error;
    }
  }
}

async function startOnce(options: ControlPlaneOptions, directory: string): Promise<ControlPlane> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const [etcd = 0, apiServer = 0, controllerManager = 0] = await freePorts(componentNames.length);
  const ports = { etcd, apiServer, controllerManager };
  const authority = createAuthority(`${options.name}-ca`);
  const { name, addresses = [] } = options;
  const layout: Layout = { name, directory, ports, authority, addresses };
  const files = writeFiles(layout);
  const admin = createRequester(urlOf(apiServer), authority.caPem, files.admin);
  const watchdog = startWatchdog();
  const components = createComponents(options, layout, { admin, watchdog });
  const plane = assemble(layout, files, { admin, watchdog, components });
  try {
    await startAll(components, admin);
    return plane;
  } catch (error) {
    await plane.stop();
    throw error;
  }
}

type Components = Readonly<Record<ComponentName, Component>>;

interface Guards {
  readonly admin: Requester;
  readonly watchdog: Watchdog;
}

function createComponents(
  { binaries, extraArgs }: ControlPlaneOptions,
  { directory, ports, ...layout }: Layout,
  { admin, watchdog }: Guards,
): Components {
  const usual = argumentsOf({ directory, ports, ...layout });
  const create = (name: ComponentName, isReady: () => Promise<boolean>): Component =>
    createComponent({
      name,
      program: binaries.path(name),
      args: [...usual[name], ...(extraArgs?.[name] ?? [])],
      directory,
      logPath: join(directory, `${name}.log`),
      watchdog,
      isReady,
    });
  return {
    etcd: create('etcd', () => isEtcdReady(etcdUrlOf(ports.etcd))),
    'kube-apiserver': create('kube-apiserver', () => answers(admin, '/readyz')),
    'kube-controller-manager': create('kube-controller-manager', () =>
      hasControllers(ports.controllerManager, layout.authority.caPem),
    ),
  };
}

async function startAll(components: Components, admin: Requester): Promise<void> {
  // One after another: an API server that finds no etcd tries again a whole second later.
  await components.etcd.start(readyWithinMs);
  await components['kube-apiserver'].start(readyWithinMs);
  await components['kube-controller-manager'].start(readyWithinMs);
  // Until then no pod is admitted.
  await until(
    () => answers(admin, '/api/v1/namespaces/default/serviceaccounts/default'),
    'the default service account',
  );
}

function assemble(
  { name, directory, ports, authority }: Layout,
  { admin: keys, adminKubeconfigPath, tokenKeyPem }: Files,
  { admin, watchdog, components }: Guards & { readonly components: Components },
): ControlPlane {
  const all = componentNames.map((one) => components[one]);
  return {
    name,
    directory,
    url: urlOf(ports.apiServer),
    etcdUrl: etcdUrlOf(ports.etcd),
    caPem: authority.caPem,
    admin,
    adminCertPem: keys.certPem,
    adminKeyPem: keys.keyPem,
    adminKubeconfigPath,
    tokenKeyPem,
    issueClient: (subject) => authority.issueClient(subject),
    issueServer: (server, addresses = []) =>
      authority.issueServer(server, {
        names: ['localhost', server],
        addresses: ['127.0.0.1', ...addresses],
      }),
    pidOf: (component) => components[component].pid,
    kill9: (component) => components[component].end('SIGKILL'),
    stopComponent: (component) => components[component].end('SIGTERM'),
    startComponent: (component) => components[component].start(readyWithinMs),
    restart: async (component) => {
      // On SIGTERM etcd waits seconds for the API server to close streams, which it never does.
      await components[component].end(component === 'etcd' ? 'SIGKILL' : 'SIGTERM');
      await components[component].start(readyWithinMs);
    },
    pause: (component) => components[component].pause(),
    resume: (component) => components[component].resume(),
    stop: async () => {
      admin.close();
      // Nobody will read what they would still write.
      await Promise.all(all.map((one) => one.end('SIGKILL')));
      await watchdog.stop();
    },
  };
}

async function answers(requester: Requester, path: string): Promise<boolean> {
  try {
    return (await requester.send({ path })).status === 200;
  } catch {
    return false;
  }
}

async function isEtcdReady(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok;
  } catch {
    return false;
  }
}

/**
 * The controller manager answers this to everybody. It is healthy at once and lists its
 * controllers later, when they have been started.
 */
function hasControllers(port: number, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const url = `${urlOf(port)}/healthz?verbose`;
    const asked = get(url, { ca, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('error', () => resolve(false));
      answer.on('end', () => {
        const isThere = text.includes('[+]garbage-collector-controller ok');
        resolve(answer.statusCode === 200 && isThere);
      });
    });
    asked.on('error', () => resolve(false));
  });
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + readyWithinMs;
  while (!(await condition())) {
    if (performance.now() > deadline)
      throw new Error(`${what}: not there after ${readyWithinMs} ms`);
    await sleep(pollMs);
  }
}
