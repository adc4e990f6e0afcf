/** Ways of commands to API servers: kubeconfigs of this home and of the user. */
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { fail } from '../base/errors.ts';
import type { ApiPlace, OpenApi } from '../cli/ports.ts';
import type { KubeClient } from '../kube/api.ts';
import { createKubeClient } from '../kube/client.ts';
import type { KubeTransport } from '../kube/transport.ts';
import { recordedProcess } from './background.ts';
import { createClock } from './clock.ts';
import { planePaths, sharedKubeconfig } from './control-plane/paths.ts';
import { inClusterTransport, openKubeTransport } from './kube-transport.ts';
import {
  type KubeconfigFile,
  type Material,
  readKubeconfig,
  readKubeconfigFile,
} from './kube-transport-config.ts';
import { createLog } from './log.ts';
import { writePrivate } from './private-file.ts';
import { createRandom } from './random.ts';

/** Whose clients write, as `managedFields` shows it. */
const commandManager = 'transship';

export async function openApi(
  home: string,
  place: ApiPlace,
  fieldManager = commandManager,
): Promise<OpenApi> {
  if ('inCluster' in place) return openOwnCluster(fieldManager);
  const file = 'cluster' in place ? ownKubeconfig(home, place.cluster) : theKubeconfig(place);
  const source = { ...file, context: 'cluster' in place ? place.cluster : place.context };
  const access = readKubeconfig(source);
  const transport = await openKubeTransport(source);
  const client = clientOf(access.context, transport, fieldManager);
  const authorityPem = access.ca && materialText(access.ca);
  const server = access.server.href.replace(/\/$/, '');
  return { client, endpoint: { server, authorityPem } };
}

/** As the service account of this pod. `NotFound` outside of a pod. */
async function openOwnCluster(fieldManager: string): Promise<OpenApi> {
  const transport = await inClusterTransport();
  const client = clientOf('in-cluster', transport, fieldManager);
  return {
    client,
    endpoint: { server: 'https://kubernetes.default.svc', authorityPem: undefined },
  };
}

function clientOf(cluster: string, transport: KubeTransport, fieldManager: string): KubeClient {
  return createKubeClient({
    cluster,
    transport,
    clock: createClock(),
    random: createRandom(),
    log: createLog({ format: 'human', level: fieldManager === commandManager ? 'warn' : 'info' }),
    fieldManager,
  });
}

function materialText(material: Material): string {
  return 'text' in material ? material.text : fs.readFileSync(material.file, 'utf8');
}

function ownKubeconfig(home: string, name: string): KubeconfigFile {
  const { kubeconfig, pid } = planePaths(home, name);
  if (recordedProcess(pid) === undefined || !fs.existsSync(kubeconfig)) {
    fail('ApiUnreachable', `the API server of cluster ${name} does not run: transship up ${name}`);
  }
  return readKubeconfigFile(kubeconfig);
}

/** `--kubeconfig`, the first of KUBECONFIG that exists, or that of kubectl. */
function theKubeconfig(place: { readonly kubeconfig: string | undefined }): KubeconfigFile {
  if (place.kubeconfig !== undefined) return readKubeconfigFile(place.kubeconfig);
  const named = (process.env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  const path = named.find((one) => fs.existsSync(one)) ?? named[0];
  return readKubeconfigFile(path ?? join(homedir(), '.kube', 'config'));
}

interface KubeconfigLists {
  readonly clusters: readonly unknown[];
  readonly users: readonly unknown[];
  readonly contexts: readonly { readonly name: string }[];
}

/** One kubeconfig with all clusters of this home as contexts; returns its path. */
export function writeShared(home: string, names: readonly string[]): string {
  const files = names.map((name) => planePaths(home, name).kubeconfig);
  const parts = files
    .filter((file) => fs.existsSync(file))
    .map((file) => parse(fs.readFileSync(file, 'utf8')) as KubeconfigLists);
  const text = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': parts[0]?.contexts[0]?.name ?? '',
    clusters: parts.flatMap((part) => part.clusters),
    users: parts.flatMap((part) => part.users),
    contexts: parts.flatMap((part) => part.contexts),
  });
  const path = sharedKubeconfig(home);
  writePrivate(path, text);
  return path;
}
