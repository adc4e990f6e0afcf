/** Informers that only watch: what they have in the end must be what the server has. */
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { labels } from '../../src/controllers/labels.ts';
import type { Informer } from '../../src/kube/api.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { keyOf, keyText, type KubeObject, type ResourceType } from '../../src/kube/objects.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../src/kube/resources.ts';
import { Worker, type WorkerPorts } from './control-worker.ts';

const user = { name: 'observer', groups: ['system:masters'] };

interface Watched {
  readonly informer: Informer<KubeObject>;
  readonly kind: string;
  readonly isSelected: (object: KubeObject) => boolean;
  /** What was told, by key. */
  readonly told: Map<string, string>;
}

export class Observer extends Worker {
  #watched: readonly Watched[] = [];

  override get name(): string {
    return `observer ${this.o.cluster().name}`;
  }

  protected override begin(ports: WorkerPorts): () => Promise<void> {
    const client = this.clientAs(user, 'observer', ports);
    const all = (_object: KubeObject) => true;
    const isMade = ({ metadata }: KubeObject) => metadata.labels?.[labels.teleport] !== undefined;
    const watch = (type: ResourceType, selectors = {}, isSelected = all) =>
      follow(createInformer<KubeObject>(client, type, { selectors }), isSelected);
    this.#watched = [
      watch(volumes),
      watch(teleports as ResourceType),
      watch(persistentVolumeClaims),
      watch(persistentVolumes, { labels: labels.teleport }, isMade),
    ];
    return async () => {
      await Promise.all(this.#watched.map(({ informer }) => informer.stop()));
    };
  }

  /** What it does not know yet, or will never know because it missed it. */
  differences(): string[] {
    const left: string[] = [];
    const { api, name } = this.o.cluster();
    for (const { informer, kind, isSelected, told } of this.#watched) {
      const known = new Map([...informer.list()].map((one) => [textOf(one), versionOf(one)]));
      const there = api.list<KubeObject>(kind).filter(isSelected);
      const wanted = new Map(there.map((one) => [textOf(one), versionOf(one)]));
      for (const map of [known, told]) {
        const what = `${map === told ? 'listeners' : 'caches'} of ${kind} at ${name}`;
        for (const [key, version] of wanted) {
          if (map.get(key) !== version) left.push(`${what} have not seen a change of ${key}`);
        }
        for (const key of map.keys()) {
          if (!wanted.has(key)) left.push(`${what} have not seen the end of ${key}`);
        }
      }
    }
    return left;
  }
}

function follow(informer: Informer<KubeObject>, isSelected: Watched['isSelected']): Watched {
  const told = new Map<string, string>();
  informer.onChange(({ key, now }) => {
    if (now === undefined) told.delete(keyText(key));
    else told.set(keyText(key), versionOf(now));
  });
  return { informer, kind: informer.type.kind, isSelected, told };
}

function textOf(object: KubeObject): string {
  return keyText(keyOf(object));
}

function versionOf({ metadata }: KubeObject): string {
  return metadata.resourceVersion ?? '';
}
