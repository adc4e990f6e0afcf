/** The Job that runs one hook of one migration, and the ConfigMap with its playbook. Pure. */
import { createHash } from 'node:crypto';
import type { Hook } from '../../api/kinds/hook.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { parseDuration } from '../../base/units.ts';
import type { Draft } from '../../kube/api.ts';
import type { Job } from '../../kube/jobs.ts';
import type { ObjectKey } from '../../kube/objects.ts';
import type { ConfigMap } from '../../kube/resources.ts';
import type { Container, PodSpec } from '../../kube/pod-spec.ts';
import { ourLabels } from '../../workload/ours.ts';
import { namespacesAt, type Run, type SideName, uidOf } from './run.ts';

export type HookPhase = NonNullable<Plan['spec']['hooks']>[number]['phase'];

/** One hook at its place in the order of its phase. */
export interface HookRun {
  readonly hook: string;
  readonly phase: HookPhase;
}

/** With a shell; for hooks that name no image. */
export const shellImage = 'docker.io/library/busybox:1.37';
/** With Ansible, for playbooks: what hooks of MTC run in. */
export const playbookImage = 'quay.io/konveyor/hook-runner:latest';

const playbookDirectory = '/etc/transship/hook';
const playbookFile = 'playbook.yml';
const playbookPath = `\${TRANSSHIP_MOUNT_PLAYBOOK:-${playbookDirectory}}/${playbookFile}`;
const deadlineDefault = '1800s';
/**
 * The pod ends at its deadline and stays, so that its output can be read; its Job, whose end takes
 * the pod along, comes later. It also ends a pod that never got to run.
 */
const jobDelaySeconds = 60;
/** Should nobody tidy up. */
const keptSeconds = 7 * 24 * 3600;
export const containerName = 'hook';

/** All hooks of a phase, in order. */
export function hooksOf({ spec }: Plan, phase: HookPhase): readonly HookRun[] {
  return (spec.hooks ?? [])
    .filter((one) => one.phase === phase)
    .toSorted((a, b) => (a.order ?? 0) - (b.order ?? 0))
    .map(({ hook }) => ({ hook, phase }));
}

/** The same for the same hook of the same migration, whoever asks, so that it is made once. */
export function hookJobName(run: Run, { hook, phase }: HookRun): string {
  const hash = createHash('sha256').update(`${uidOf(run.migration)}/${phase}/${hook}`);
  const cut = hook.replaceAll('.', '-').slice(0, 32).replace(/-+$/, '');
  return `hook-${cut}-${phase.toLowerCase()}-${hash.digest('hex').slice(0, 8)}`;
}

export function sideOf({ spec }: Hook): SideName {
  return spec.target === 'Source' ? 'source' : 'destination';
}

/** Values of labels have at most 63 characters. */
export function hookLabels(run: Run, hook: string): Readonly<Record<string, string>> {
  const value = hook.slice(0, 63).replace(/[^A-Za-z0-9]+$/, '');
  return { [ourLabels.migration]: uidOf(run.migration), [ourLabels.hook]: value };
}

/** What a hook is told, beside what MTC told its hooks. */
function environmentOf(run: Run, { hook, phase }: HookRun): Container['env'] {
  const { plan, migration, source, destination } = run;
  const [here, there] = [namespacesAt(run, 'source'), namespacesAt(run, 'destination')];
  const facts: Readonly<Record<string, string>> = {
    TRANSSHIP_PLAN: plan.metadata.name ?? '',
    TRANSSHIP_PLAN_NAMESPACE: plan.metadata.namespace ?? '',
    TRANSSHIP_MIGRATION: migration.metadata.name ?? '',
    TRANSSHIP_MIGRATION_TYPE: migration.spec.type,
    TRANSSHIP_HOOK: hook,
    TRANSSHIP_PHASE: phase,
    TRANSSHIP_SOURCE_CLUSTER: source.name,
    TRANSSHIP_DESTINATION_CLUSTER: destination.name,
    TRANSSHIP_SOURCE_NAMESPACES: here.join(','),
    TRANSSHIP_DESTINATION_NAMESPACES: there.join(','),
    MIGRATION_PLAN_NAME: plan.metadata.name ?? '',
    MIGRATION_NAMESPACES: here.join(','),
  };
  return Object.entries(facts).map(([name, value]) => ({ name, value }));
}

export interface HookPlace {
  readonly key: ObjectKey;
  /** The namespace takes only pods of the restricted Pod Security Standard. */
  readonly isRestricted: boolean;
}

/**
 * Runs once: a hook that failed half way may do harm when it is repeated, which a person can judge
 * and a Job cannot. (MTC repeats six times.)
 */
export function hookJob(run: Run, one: HookRun, hook: Hook, place: HookPlace): Draft<Job> {
  const labels = hookLabels(run, one.hook);
  const seconds = Math.ceil(parseDuration(hook.spec.deadline ?? deadlineDefault) / 1000);
  const spec: PodSpec = {
    restartPolicy: 'Never',
    activeDeadlineSeconds: seconds,
    ...(hook.spec.serviceAccount === undefined
      ? {}
      : { serviceAccountName: hook.spec.serviceAccount }),
    ...(place.isRestricted ? { securityContext: restrictedPod } : {}),
    containers: [containerOf(run, one, hook, place)],
    ...(hook.spec.playbook === undefined
      ? {}
      : { volumes: [{ name: 'playbook', configMap: { name: playbookKey(place.key).name } }] }),
  };
  return {
    metadata: { ...place.key, labels },
    spec: {
      backoffLimit: 0,
      completions: 1,
      parallelism: 1,
      activeDeadlineSeconds: seconds + jobDelaySeconds,
      ttlSecondsAfterFinished: keptSeconds,
      template: { metadata: { labels }, spec },
    },
  };
}

const restrictedPod = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
const restrictedContainer = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
};

function containerOf(
  run: Run,
  one: HookRun,
  { spec }: Hook,
  { isRestricted }: HookPlace,
): Container {
  const env = environmentOf(run, one) ?? [];
  const context = isRestricted ? { securityContext: restrictedContainer } : {};
  if (spec.playbook === undefined) {
    return {
      name: containerName,
      image: spec.image ?? shellImage,
      ...(spec.command === undefined ? {} : { command: spec.command }),
      env,
      ...context,
    };
  }
  return {
    name: containerName,
    image: spec.image ?? playbookImage,
    // Embedded clusters mount elsewhere, and say where.
    command: ['sh', '-c', `exec ansible-playbook -i localhost, -c local "${playbookPath}"`],
    // Whoever it runs as: a home that can be written to.
    env: [...env, { name: 'HOME', value: '/tmp' }],
    volumeMounts: [{ name: 'playbook', mountPath: playbookDirectory, readOnly: true }],
    ...context,
  };
}

/** Beside the Job of that name. */
export function playbookKey({ namespace, name }: ObjectKey): ObjectKey {
  return { namespace, name: `${name}-playbook` };
}

/** Undefined for hooks without a playbook. */
export function playbookMap(
  run: Run,
  { spec, metadata }: Hook,
  key: ObjectKey,
): Draft<ConfigMap> | undefined {
  if (spec.playbook === undefined) return undefined;
  return {
    metadata: { ...playbookKey(key), labels: hookLabels(run, metadata.name ?? '') },
    data: { [playbookFile]: spec.playbook },
  };
}
