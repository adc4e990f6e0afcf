/** Puts an installation into a cluster: its kinds first, then everything else in order. */
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import type { Reason } from '../../base/reasons.ts';
import { type Applied, applyObject } from '../../controllers/install.ts';
import { chosenObjects, definitions } from '../../controllers/installation/bundle.ts';
import type { Values } from '../../controllers/installation/values.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { customResourceDefinitions } from '../../kube/resources.ts';
import { sleep } from '../../base/sleep.ts';
import type { Cli } from '../context.ts';

const servedMs = 60_000;
const pollMs = 200;

export interface Step {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly outcome: Applied;
}

/** What would be applied, in order. */
export function objectsOf(values: Values): readonly KubeObject[] {
  const kinds = values.has('manageCRDs') ? definitions() : [];
  return [...kinds, ...chosenObjects(values)];
}

/**
 * Can be repeated: what is there already is brought up to date. `Forbidden` says who may install,
 * and how they can be given the objects.
 */
export async function applyInstallation(
  cli: Cli,
  client: KubeClient,
  values: Values,
  onStep: (step: Step) => void,
): Promise<void> {
  for (const object of objectsOf(values)) {
    const { name = '', namespace } = object.metadata;
    const outcome = await applyObject(client, object).catch((error: unknown) => {
      throw refusal(object, error);
    });
    if (object.kind === 'CustomResourceDefinition') await served(cli, client, name);
    onStep({ kind: object.kind, name, outcome, ...(namespace === undefined ? {} : { namespace }) });
  }
}

function refusal({ kind, metadata }: KubeObject, error: unknown): unknown {
  const { reason, message } = asTransshipError(error);
  if (reason === 'NotFound' && kind === 'ServiceMonitor') {
    const remedy = 'install the operator first, or leave out monitoring.serviceMonitor.enabled';
    return refused('Unsupported', `the cluster has no ServiceMonitors: ${remedy}`, error);
  }
  if (reason !== 'Forbidden') return error;
  const lines = [
    `${kind} ${metadata.name} cannot be applied: ${message}`,
    'To install takes the rights of deploy/installer.yaml, or those of cluster-admin.',
    'What was applied before stays; the same command goes on from there.',
    'Whoever has these rights may also apply what `transship install --dry-run` prints.',
  ];
  return refused('Forbidden', lines.join('\n'), error);
}

function refused(reason: Reason, message: string, cause: unknown): unknown {
  return new TransshipError(reason, message, { cause });
}

/** A kind that was just defined is not there at once. */
async function served(cli: Cli, client: KubeClient, name: string): Promise<void> {
  const { clock } = cli.ports;
  const deadline = clock.monotonicMs() + servedMs;
  for (;;) {
    const found = await client.get(customResourceDefinitions, { namespace: '', name });
    // Null, as a real API server writes it in the first moment.
    const conditions = found?.status?.conditions ?? [];
    const is = (type: string) =>
      conditions.find((one) => one.type === type && one.status === 'True') !== undefined;
    if (is('Established')) return;
    if (clock.monotonicMs() > deadline) {
      const why = conditions.map(({ type, status, message }) => `${type}=${status} ${message}`);
      fail('TimedOut', `the API server does not serve ${name}: ${why.join('; ')}`);
    }
    await sleep(clock, pollMs);
  }
}
