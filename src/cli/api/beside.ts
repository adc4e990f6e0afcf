/** The API beside an agent: for commands of the data path, which also work where none runs. */
import { resources } from '../../api/kinds/resources.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { Cli } from '../context.ts';
import { printChanged } from './printing.ts';
import { volumeThere } from './volumes.ts';

/** Asked before anything is done. Undefined: only an agent runs, and no object was asked for. */
export async function apiBeside(cli: Cli): Promise<KubeClient | undefined> {
  const isNeeded = cli.options.output !== undefined || cli.namesContext;
  if (!isNeeded && !cli.ports.planes.isRunning(await cli.clusterName())) return undefined;
  return (await cli.api()).client;
}

/** "volume/db imported", once an object stands for the volume. */
export async function printVolume(
  cli: Cli,
  client: KubeClient | undefined,
  done: { readonly name: string; readonly verb: string },
): Promise<void> {
  const { name, verb } = done;
  if (client === undefined) return cli.out(`volume/${name} ${verb}\n`);
  const object = await volumeThere(cli, client, name);
  return printChanged(cli, client, { type: resources.volumes, object }, verb);
}
