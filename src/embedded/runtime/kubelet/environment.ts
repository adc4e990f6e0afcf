/** The environment and the command line of a container. */
import { fail } from '../../../base/errors.ts';
import type { ConfigMap, Secret, Service } from '../../../kube/resources.ts';
import type { Container, EnvSource, EnvVar, KeyReference } from '../../../kube/pod-spec.ts';
import type { Pod } from '../kinds/pods.ts';
import { type NodeResources, fieldText, resourceText } from './fields.ts';

/** What a container's environment is made of, found beforehand. */
export interface EnvInputs {
  readonly base: Readonly<Record<string, string>>;
  readonly services: readonly Service[];
  readonly apiServer: { readonly host: string; readonly port: number };
  readonly configMap: (name: string) => ConfigMap | undefined;
  readonly secret: (name: string) => Secret | undefined;
  readonly node: NodeResources;
}

export type Env = Record<string, string>;

/** `Invalid` with what is missing, in the words of a kubelet. */
export function environmentOf(pod: Pod, container: Container, inputs: EnvInputs): Env {
  const env: Env = {
    ...inputs.base,
    HOSTNAME: pod.spec.hostname ?? pod.metadata.name ?? '',
    ...apiServerEnv(inputs),
    ...(pod.spec.enableServiceLinks === false ? {} : servicesEnv(inputs.services)),
  };
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const source = configMapRef ?? secretRef;
    if (source === undefined) continue;
    const kind = configMapRef === undefined ? 'secret' : 'configmap';
    const data = dataOf(inputs, kind, source.name ?? '', source.optional);
    for (const [key, value] of Object.entries(data ?? {})) {
      if (isEnvName(`${prefix}${key}`)) env[`${prefix}${key}`] = value;
    }
  }
  for (const one of container.env ?? []) {
    const value = valueOf(pod, container, one, { env, inputs });
    if (value !== undefined) env[one.name] = value;
  }
  return env;
}

const isEnvName = (name: string): boolean => /^[A-Za-z_][\w.-]*$/.test(name);

function apiServerEnv({ apiServer: { host, port } }: EnvInputs): Env {
  return { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: String(port) };
}

/**
 * `NAME_SERVICE_HOST` and `NAME_SERVICE_PORT`. Nothing forwards ports here: the port is where the
 * pods listen, on this machine.
 */
function servicesEnv(services: readonly Service[]): Env {
  const env: Env = {};
  for (const { metadata, spec } of services) {
    const ports = spec?.ports ?? [];
    if (spec?.type === 'ExternalName' || ports.length === 0) continue;
    const name = (metadata.name ?? '').toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
    env[`${name}_SERVICE_HOST`] = '127.0.0.1';
    for (const [i, { name: portName, port, targetPort }] of ports.entries()) {
      const text = String(typeof targetPort === 'number' ? targetPort : port);
      if (i === 0) env[`${name}_SERVICE_PORT`] = text;
      const suffix = portName?.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
      if (suffix !== undefined) env[`${name}_SERVICE_PORT_${suffix}`] = text;
    }
  }
  return env;
}

function valueOf(
  pod: Pod,
  container: Container,
  { name, value, valueFrom }: EnvVar,
  made: { readonly env: Env; readonly inputs: EnvInputs },
): string | undefined {
  if (valueFrom === undefined) return expand(value ?? '', made.env);
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef }: EnvSource = valueFrom;
  if (fieldRef !== undefined) return fieldText(pod, fieldRef.fieldPath);
  if (resourceFieldRef !== undefined) {
    const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
    const defaults = { container: container.name, node: made.inputs.node };
    return resourceText(all, resourceFieldRef, defaults);
  }
  if (configMapKeyRef !== undefined) return keyValue(made.inputs, 'configmap', configMapKeyRef);
  if (secretKeyRef !== undefined) return keyValue(made.inputs, 'secret', secretKeyRef);
  return fail('Invalid', `env ${name} has an unsupported source`);
}

type Kind = 'configmap' | 'secret';

function keyValue(inputs: EnvInputs, kind: Kind, reference: KeyReference): string | undefined {
  const { name = '', key, optional } = reference;
  const value = dataOf(inputs, kind, name, optional)?.[key];
  if (value !== undefined || optional === true) return value;
  return fail('Invalid', `couldn't find key ${key} in ${kind} ${name}`);
}

function dataOf(
  inputs: EnvInputs,
  kind: Kind,
  name: string,
  optional: boolean | undefined,
): Readonly<Record<string, string>> | undefined {
  const found =
    kind === 'configmap' ? inputs.configMap(name)?.data : secretTexts(inputs.secret(name));
  const isThere = kind === 'configmap' ? inputs.configMap(name) : inputs.secret(name);
  if (isThere === undefined && optional !== true) fail('Invalid', `${kind} "${name}" not found`);
  return isThere === undefined ? undefined : (found ?? {});
}

function secretTexts(secret: Secret | undefined): Env | undefined {
  if (secret === undefined) return undefined;
  const entries = Object.entries(secret.data ?? {});
  return Object.fromEntries(
    entries.map(([name, value]) => [name, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

/** `$(NAME)` is the variable's value where there is one; `$$(NAME)` is `$(NAME)`. */
export function expand(text: string, env: Readonly<Env>): string {
  return text.replaceAll(/\$(\$|\(([^()]*)\))/g, (whole, next: string, name: string) => {
    if (next === '$') return '$';
    return Object.hasOwn(env, name) ? (env[name] ?? '') : whole;
  });
}

/** There are no images: a container says what it runs. */
export function argvOf(container: Container, env: Readonly<Env>): readonly string[] {
  const { command = [], args = [] } = container;
  if (command.length === 0) {
    fail('Invalid', 'embedded clusters run host programs: give a command');
  }
  return [...command, ...args].map((word) => expand(word, env));
}
