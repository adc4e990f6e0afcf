// What kubelets do about the pods of movers, without bytes: they run, they print what movers print,
// and a client copies a little with every look. Real movers are in test/kubernetes/fleet.
import type { PodLogRequest } from '../../src/embedded/server/api.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { keyOf } from '../../src/kube/objects.ts';
import { type Secret, secrets, services } from '../../src/kube/resources.ts';
import { type Pod, pods } from '../../src/kube/workloads.ts';

const steps = 6;
const fileBytes = 1200;

interface Ran {
  /** One that is made anew under the name of another has not run. */
  readonly uid: string | undefined;
  readonly lines: string[];
  looks: number;
}

export class TestNodes {
  /** By cluster, namespace and name of the pod. */
  readonly #ran = new Map<string, Ran>();
  #ports = 20_000;
  /** Addresses at which clients find somebody. */
  reaches: (host: string) => boolean = () => true;
  /** Places of repositories that have a volume, with their passwords. */
  readonly saved = new Set<string>();
  /** Given to Services of type LoadBalancer; undefined: nobody gives any. */
  balancer: string | undefined;
  /** Clients copy no further than so many looks. */
  looksMax = Number.POSITIVE_INFINITY;

  async act(cluster: string, client: KubeClient): Promise<void> {
    const seen = new Set<string>();
    for await (const pod of client.list(pods, { labels: 'transship.dev/transfer' })) {
      const place = placeOf(cluster, pod.metadata.namespace, pod.metadata.name);
      seen.add(place);
      if (pod.metadata.deletionTimestamp !== undefined) {
        this.#ran.delete(place);
        await client.delete(pods, keyOf(pod), { graceSeconds: 0 });
      } else if (pod.status?.phase !== 'Succeeded') await this.#run(client, pod, place);
    }
    for (const place of this.#ran.keys()) {
      if (place.startsWith(`${cluster}/`) && !seen.has(place)) this.#ran.delete(place);
    }
    if (this.balancer !== undefined) await this.#balance(client, this.balancer);
  }

  async #run(client: KubeClient, pod: Pod, place: string): Promise<void> {
    const known = this.#ran.get(place);
    const { uid } = pod.metadata;
    const ran = known !== undefined && known.uid === uid ? known : { uid, lines: [], looks: 0 };
    this.#ran.set(place, ran);
    const isServer = pod.spec?.containers[0]?.command?.includes('server') === true;
    if (ran.looks === 0) {
      if (isServer) say(ran, { type: 'Listening', port: ++this.#ports });
      await client.patchStatus(pods, keyOf(pod), {
        status: { phase: 'Running', podIP: '10.0.0.1', hostIP: '192.0.2.1' },
      });
    }
    ran.looks += 1;
    if (isServer || ran.looks > this.looksMax) return;
    const words = pod.spec?.containers[0]?.command ?? [];
    const half = words.find((word) => word === 'backup' || word === 'restore');
    const isDone =
      half === undefined
        ? await this.#copy(client, pod, ran)
        : await this.#pass(client, pod, { ran, half });
    if (isDone) {
      await client.patchStatus(pods, keyOf(pod), { status: { phase: 'Succeeded' } });
    }
  }

  /** As `transship mover backup` and `restore`; true when it is done. */
  async #pass(
    client: KubeClient,
    pod: Pod,
    { ran, half }: { readonly ran: Ran; readonly half: string },
  ): Promise<boolean> {
    const config = await configOf(client, pod);
    const isFinal = config.pass === 'Final';
    const percent = Math.floor((100 * Math.min(steps, ran.looks)) / steps);
    const more = { bytesPerSecond: 1, elapsedSeconds: 1, files: 1, listing: false };
    say(ran, { type: 'Progress', attempt: 1, percent, bytes: fileBytes, ...more });
    if (ran.looks < steps) return false;
    const place = JSON.stringify([config.repository, config.password]);
    if (half === 'backup') {
      this.saved.add(place);
      const sizes = { totalBytes: fileBytes, addedBytes: fileBytes };
      const saved = { snapshot: '0123abcd', list: '89abcdef' };
      say(ran, { type: 'Saved', attempts: 1, saved, ...sizes, notes: ['no sockets'] });
      return true;
    }
    const other = pod.metadata.name?.replace('server', 'client') ?? '';
    const isThere = [...this.#ran.keys()].some((key) => key.endsWith(`/${other}`));
    if (isThere) throw new Error(`${other} is done and still holds its claim`);
    if (!this.saved.has(place)) throw new Error(`nothing was saved in ${place}`);
    const stats = { files: 1, totalBytes: fileBytes, sentBytes: fileBytes };
    const audit = { entries: 1, bytes: fileBytes, digest: 'd', contentCompared: false };
    say(ran, { type: 'Done', attempts: 1, stats, notes: [], ...(isFinal ? { audit } : {}) });
    return true;
  }

  /** As `transship mover client`; true when it is done. */
  async #copy(client: KubeClient, pod: Pod, ran: Ran): Promise<boolean> {
    const config = await configOf(client, pod);
    const attempt = 1;
    if (!this.reaches(config.host)) {
      const message = 'no connection: Connection refused (rsync code 10)';
      const failed = { reason: 'SourceUnreachable', message, retryInSeconds: 1 };
      say(ran, { type: 'AttemptFailed', attempt, ...failed });
      return false;
    }
    const at = Math.min(steps, ran.looks);
    const bytes = (fileBytes * at) / steps;
    const percent = Math.floor((100 * at) / steps);
    const more = { bytesPerSecond: 1, elapsedSeconds: 1, files: 1, listing: false };
    say(ran, { type: 'Progress', attempt, percent, bytes, ...more });
    if (at < steps) return false;
    const stats = { files: 1, totalBytes: fileBytes, sentBytes: fileBytes };
    const audit = { entries: 1, bytes: fileBytes, digest: 'd', contentCompared: false };
    const end = { type: 'Done', attempts: 1, stats, notes: [] };
    say(ran, config.pass === 'Final' ? { ...end, audit } : end);
    return true;
  }

  async #balance(client: KubeClient, ip: string): Promise<void> {
    for await (const service of client.list(services)) {
      const isNew = service.status?.loadBalancer?.ingress === undefined;
      if (service.spec?.type !== 'LoadBalancer' || !isNew) continue;
      const status = { loadBalancer: { ingress: [{ ip }] } };
      await client.patchStatus(services, keyOf(service), { status });
    }
  }

  async *log(cluster: string, { namespace, pod }: PodLogRequest): AsyncGenerator<Uint8Array> {
    const ran = this.#ran.get(placeOf(cluster, namespace, pod));
    yield Buffer.from((ran?.lines ?? []).map((line) => `${line}\n`).join(''));
  }
}

function placeOf(cluster: string, namespace = '', name = ''): string {
  return `${cluster}/${namespace}/${name}`;
}

function say({ lines }: Ran, message: object): void {
  lines.push(JSON.stringify(message));
}

async function configOf(client: KubeClient, pod: Pod) {
  const name = pod.spec?.volumes?.find(({ secret }) => secret !== undefined)?.secret?.secretName;
  const key = { namespace: pod.metadata.namespace ?? '', name: name ?? '' };
  return configIn(await client.get(secrets, key));
}

function configIn(secret: Secret | undefined) {
  const text = Buffer.from(secret?.data?.['config.json'] ?? '', 'base64').toString('utf8');
  return JSON.parse(text) as {
    readonly host: string;
    readonly pass: string;
    readonly repository?: object;
    readonly password?: string;
  };
}
