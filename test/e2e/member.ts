/** One cluster with Transship in it. */
import { join } from 'node:path';
import { installerRole } from '../../src/controllers/installation/installer.ts';
import { systemNamespace } from '../../src/controllers/installation.ts';
import { type Cluster, installer } from './cluster/cluster.ts';
import { must, run, transship, until } from './kubectl.ts';

const installerManifest = join(import.meta.dirname, '../../deploy/installer.yaml');
const installMs = 300_000;

export interface PodPlace {
  readonly pod: string;
  readonly namespace: string;
  readonly container?: string;
}

interface PodObject {
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly containerID?: string;
      readonly restartCount: number;
      readonly ready: boolean;
    }[];
  };
}

export class Member {
  readonly cluster: Cluster;
  readonly #kubectl: string;
  readonly #home: string;

  constructor(cluster: Cluster, kubectl: string, home: string) {
    this.cluster = cluster;
    this.#kubectl = kubectl;
    this.#home = home;
  }

  get name(): string {
    return this.cluster.name;
  }

  /** Its context, for commands of ours. */
  get place(): readonly string[] {
    return ['--kubeconfig', this.cluster.kubeconfigPath, '--context', this.name];
  }

  kubectl(...words: readonly string[]): Promise<string> {
    return must(this.#kubectl, ['--kubeconfig', this.cluster.kubeconfigPath, ...words]);
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    const words = [
      '--kubeconfig',
      this.cluster.kubeconfigPath,
      'apply',
      '--validate=false',
      '-f',
      '-',
    ];
    await must(this.#kubectl, words, { input });
  }

  transship(...words: readonly string[]): Promise<string> {
    return transship(this.#home, [...words, ...this.place]);
  }

  /** By somebody who has nothing but the rights that docs/reference/rights.md names. */
  async install(): Promise<void> {
    await this.kubectl('apply', '-f', installerManifest);
    const names = [installerRole, '--user', installer];
    const role = ['--clusterrole', installerRole];
    await this.kubectl('create', 'clusterrolebinding', ...names, ...role);
    const inSystem = ['--namespace', systemNamespace, '--role', installerRole];
    await this.kubectl('create', 'rolebinding', ...names, ...inSystem);
    const place = ['--kubeconfig', this.cluster.installerKubeconfigPath, '--context', this.name];
    const sets = ['imagePullPolicy=Never', 'monitoring.enabled=true', 'networkPolicies=true'];
    const chosen = sets.flatMap((one) => ['--set', one]);
    const words = ['install', '--name', this.name, '--migrations', ...chosen];
    const time = ['--timeout', `${installMs / 1000}s`];
    await transship(this.#home, [...words, ...place, ...time]);
  }

  /** The only pod of a component of ours, or the one on a node. */
  async podOf(component: 'agent' | 'controller' | 'devices', node?: string): Promise<string> {
    const label = `app.kubernetes.io/component=${component}`;
    const on = node === undefined ? [] : ['--field-selector', `spec.nodeName=${node}`];
    return until(`a pod ${component} at ${this.name}`, async () => {
      const words = ['-n', systemNamespace, 'get', 'pods', '-l', label, ...on];
      const names = await this.kubectl(...words, '-o', 'jsonpath={.items[*].metadata.name}');
      return names.trim().split(' ').length === 1 && names !== '' ? names.trim() : undefined;
    });
  }

  async #container({ pod, namespace, container }: PodPlace) {
    const text = await this.kubectl('-n', namespace, 'get', 'pod', pod, '-o', 'json');
    const { spec, status } = JSON.parse(text) as PodObject;
    const found = status.containerStatuses?.find(({ name }) => name === (container ?? name));
    return found && { ...found, node: spec.nodeName };
  }

  /** SIGKILL for its processes; resolves when another one runs in its place and is ready. */
  async killContainer(place: PodPlace): Promise<void> {
    const before = await this.#container(place);
    const id = before?.containerID?.replace('containerd://', '');
    if (before === undefined || id === undefined) throw new Error(`${place.pod} does not run`);
    const machine = this.cluster.machines.find(({ name }) => name === before.node);
    await machine?.run('ctr', '-n', 'k8s.io', 'tasks', 'kill', '--signal', 'SIGKILL', id);
    await until(`${place.pod} to be back`, async () => {
      const now = await this.#container(place);
      const isNew = now !== undefined && now.restartCount > before.restartCount;
      return isNew && now.ready ? true : undefined;
    });
  }

  /** The last line of its log; undefined when it has none. */
  async lastLine(namespace: string, pod: string): Promise<string | undefined> {
    const words = ['-n', namespace, 'logs', '--tail=1', pod];
    const all = ['--kubeconfig', this.cluster.kubeconfigPath, ...words];
    const { code, stdout } = await run(this.#kubectl, all);
    return code === 0 && stdout.trim() !== '' ? stdout.trim() : undefined;
  }

  async condition(object: string, type: string, seconds = 180): Promise<void> {
    const words = ['wait', `--for=condition=${type}`, object, `--timeout=${seconds}s`];
    await this.kubectl(...words).catch(async (error: unknown) => {
      const seen = await this.kubectl('get', object, '-o', 'yaml').catch(() => '');
      throw new Error(`${String(error)}\n${seen}`);
    });
  }
}
