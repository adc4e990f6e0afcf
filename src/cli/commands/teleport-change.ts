import type { Command } from 'commander';
import { resources } from '../../api/kinds/resources.ts';
import type { Teleport } from '../../api/kinds/teleport.ts';
import { fail } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import { labels } from '../../controllers/labels.ts';
import type { ObjectKey, ResourceType } from '../../kube/objects.ts';
import { persistentVolumeClaims } from '../../kube/resources.ts';
import { apiOfSide, checkKnown, clustersOf } from '../api/departure.ts';
import { printChanged, printGone } from '../api/printing.ts';
import {
  findTeleport,
  hasEnded,
  type Hub,
  printFinished,
  whenTeleported,
} from '../api/teleports.ts';
import { momentMs } from '../api/volumes.ts';
import { conditionOf, until } from '../api/waiting.ts';
import { add, given, type RateOption, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { bandwidthOf } from '../bandwidth.ts';

const { teleports, volumes } = resources;

/** cancel and fill. */
export function changeTeleport(registry: Registry, teleport: Command): void {
  cancel(registry, teleport);
  fill(registry, teleport);
}

async function hubOf(cli: Cli, name: string): Promise<Hub> {
  const { client } = await cli.api();
  return { client, key: { namespace: cli.namespace, name } };
}

function cancel(registry: Registry, teleport: Command): void {
  add<Record<string, never>>(registry, teleport, {
    name: 'cancel',
    about: 'stop a teleport and delete what it made; the source stays as it is',
    args: [['<teleport>', 'its name is that of the volume or claim', 'teleport']],
    run: async (cli, [name]) => {
      const hub = await hubOf(cli, name!);
      const found = await findTeleport(hub);
      if (hasEnded(found)) {
        const { reason = '' } = conditionOf(found, 'Succeeded') ?? {};
        fail('Conflict', `teleport ${name} has ended (${reason}); delete its volume instead`);
      }
      const { source, destination } = found.spec;
      const what = (side: { readonly claim?: string; readonly volume?: string }) =>
        side.claim === undefined ? `volume ${side.volume}` : `claim ${side.claim}`;
      const made =
        source.claim === undefined
          ? { volume: destination.volume ?? source.volume ?? '' }
          : { claim: destination.claim ?? source.claim };
      await cli.confirm([
        `This deletes ${what(made)} at ${destination.cluster},`,
        `with what was written to it. ${what(source)} at ${source.cluster} stays as it is.`,
      ]);
      const known = await clustersOf(hub.client);
      const place = checkKnown(hub.client.cluster, known, destination.cluster);
      const api = await apiOfSide(cli, hub.client, place);
      if (api === undefined) {
        const where = `the API of cluster ${destination.cluster} cannot be used from here`;
        fail('ApiUnreachable', `${where}; delete ${what(made)} there`);
      }
      const canceled = await cancelAt(cli, hub, { api, found });
      if (canceled === undefined) await printGone(cli, found, 'canceled');
      else {
        await printChanged(cli, hub.client, { type: teleports, object: canceled }, 'canceled');
      }
    },
  });
}

interface Canceling {
  /** Of the destination. */
  readonly api: KubeClient;
  readonly found: Teleport;
}

/** The teleport as it then is; undefined when it had made nothing and is gone itself. */
async function cancelAt(
  cli: Cli,
  hub: Hub,
  { api, found }: Canceling,
): Promise<Teleport | undefined> {
  const { uid } = found.metadata;
  const isMade = await deleteMade(api, found);
  if (!isMade) await hub.client.delete(teleports, hub.key, uid === undefined ? {} : { uid });
  return until<Teleport, { readonly last: Teleport | undefined }>(cli, hub.client, {
    type: teleports,
    key: hub.key,
    goesOn: 'it is canceled as soon as nothing uses the volume',
    timeoutMs: momentMs,
    test: (now) => {
      if (now === undefined || now.metadata.uid !== uid) return { last: undefined };
      const { status, reason } = conditionOf(now, 'Succeeded') ?? {};
      if (status === 'False' && reason === 'Canceled') return { last: now };
      if (hasEnded(now)) fail('Conflict', `teleport ${hub.key.name} has ended meanwhile`);
      return undefined;
    },
  }).then(({ last }) => last);
}

/** False when nothing was made yet. What has the same name and is of others stays. */
async function deleteMade(api: KubeClient, { metadata, spec, status }: Teleport): Promise<boolean> {
  const { source, destination } = spec;
  if (source.claim !== undefined) {
    const namespace = destination.namespace ?? source.namespace ?? metadata.namespace ?? '';
    const key = { namespace, name: destination.claim ?? source.claim };
    if (await deleteOwn(api, persistentVolumeClaims, key, metadata.uid)) return true;
  }
  const key = { namespace: '', name: status?.volume ?? '' };
  return key.name !== '' && deleteOwn(api, volumes, key, metadata.uid);
}

async function deleteOwn(
  api: KubeClient,
  type: ResourceType,
  key: ObjectKey,
  teleportUid: string | undefined,
): Promise<boolean> {
  const there = await api.get(type, key);
  if (there === undefined || there.metadata.labels?.[labels.teleport] !== teleportUid) return false;
  const { uid } = there.metadata;
  return api.delete(type, key, uid === undefined ? {} : { uid });
}

interface FillOptions extends RateOption {
  readonly wait?: boolean;
  readonly timeout?: number;
}

function fill(registry: Registry, teleport: Command): void {
  add<FillOptions>(registry, teleport, {
    name: 'fill',
    about: 'fetch all that a thin teleport left at the source; or change the rate',
    args: [['<teleport>', 'its name is that of the volume or claim', 'teleport']],
    options: [shared.rate(), shared.wait('nothing is missing'), shared.timeout()],
    run: async (cli, [name], options) => {
      const hub = await hubOf(cli, name!);
      const before = await findTeleport(hub);
      const { rate } = options;
      const bandwidth = given('bandwidth', rate === undefined ? undefined : bandwidthOf(rate));
      const spec = { thin: false, ...bandwidth };
      const object = await hub.client.patch(teleports, hub.key, { spec });
      if (options.wait !== true && options.timeout === undefined) {
        return printChanged(cli, hub.client, { type: teleports, object }, 'filling');
      }
      const done = await whenTeleported(cli, hub, {
        progress: true,
        uid: before.metadata.uid,
        isSo: hasEnded,
        ...given('timeoutMs', options.timeout),
      });
      return printFinished(cli, hub, done);
    },
  });
}
