/** The objects of a plan exactly as they will be made at the destination, before they are. */
import type { Cluster } from '../../api/kinds/cluster.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { fail } from '../../base/errors.ts';
import { exitCodes } from '../../base/reasons.ts';
import type { KubeClient } from '../../kube/api.ts';
import { preparedObjectsOf, surveyOf } from '../../controllers/plan/prepared.ts';
import type { Note } from '../../workload/transform-context.ts';
import type { Prepared } from '../../workload/workload.ts';
import { apiOfSide, checkKnown, clustersOf } from '../api/departure.ts';
import type { Cli } from '../context.ts';
import { cellText } from '../table.ts';

/**
 * A YAML stream on stdout, in the order in which objects are made; what was stripped, mapped or
 * refused as comments on stderr. `ApiUnreachable` when a side cannot be asked from here.
 */
export async function printManifests(cli: Cli, hub: KubeClient, plan: Plan): Promise<number> {
  const { spec } = plan;
  const known = await clustersOf(hub);
  const clusters = {
    source: checkKnown(hub.cluster, known, spec.source),
    destination: checkKnown(hub.cluster, known, spec.destination),
  };
  const source = await clientOf(cli, hub, clusters.source);
  const destination = await clientOf(cli, hub, clusters.destination);
  const { inventory } = await surveyOf(plan, { source, destination });
  const { items, unreadable } = inventory;
  for (const { plural, group, namespace, message } of unreadable) {
    cli.note(`# ${plural}.${group} in ${namespace} could not be read: ${cellText(message)}`);
  }
  const yaml = await import('yaml');
  let count = 0;
  const from = { source, destination, clusters };
  for await (const prepared of preparedObjectsOf(plan, inventory, from)) {
    sayNotes(cli, prepared);
    if (prepared.object === undefined) continue;
    count += 1;
    const isJson = cli.options.output === 'json';
    // JSON: one object a line, as the stream has no end that a list would need.
    if (isJson) cli.out(`${JSON.stringify(prepared.object)}\n`);
    else cli.out(`---\n${yaml.stringify(prepared.object)}`);
  }
  cli.note(`# ${count} of ${items.length} objects will be made`);
  return exitCodes.done;
}

async function clientOf(cli: Cli, hub: KubeClient, cluster: Cluster): Promise<KubeClient> {
  const client = await apiOfSide(cli, hub, cluster);
  if (client !== undefined) return client;
  const { name = '' } = cluster.metadata;
  return fail('ApiUnreachable', `the API of cluster ${name} cannot be asked from here`);
}

function sayNotes(cli: Cli, { item, notes }: Prepared): void {
  const { kind, namespace, name } = item.name;
  for (const note of notes) cli.note(`# ${kind} ${namespace}/${name}: ${noteText(note)}`);
}

function noteText({ kind, field, message, remedy }: Note): string {
  const where = field === '' ? '' : ` ${field}`;
  const help = remedy === '' ? '' : ` (${remedy})`;
  return cellText(`${kind}${where}: ${message}${help}`);
}
