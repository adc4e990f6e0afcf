/** What runs beside the API server of an embedded cluster: its ports are made here. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import { dirname, extname, join } from 'node:path';
import { resources } from '../../api/kinds/resources.ts';
import { annotations } from '../../controllers/labels.ts';
import type { StartPlane } from '../../cli/ports.ts';
import { type Runtime, type RuntimeOptions, startRuntime } from '../../embedded/runtime/runtime.ts';
import type { NodePorts } from '../../embedded/runtime/ports.ts';
import type { NodeFacts } from '../../embedded/runtime/upkeep/nodes.ts';
import { versionInfo } from '../../embedded/server/version.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createEventRecorder } from '../../kube/events.ts';
import { agentPaths } from '../agent-paths.ts';
import { createControlClient } from '../control-client.ts';
import type { HostMetrics } from '../metrics.ts';
import type { Undo } from '../service-process.ts';
import { watchAgent } from './agent-watch.ts';
import { machineMountPoints, type PlanePaths } from './paths.ts';
import { createDirectoryVolumes } from './directory-volumes.ts';
import { createProbes } from './processes-probes.ts';
import { createProcesses } from './processes.ts';
import { quote } from './processes-script.ts';
import { createVolumeMounts } from './volume-mounts.ts';

export interface MachineryOptions {
  readonly home: string;
  readonly start: StartPlane;
  readonly paths: PlanePaths;
  readonly client: KubeClient;
  readonly metrics: HostMetrics;
  readonly apiServer: { readonly host: string; readonly port: number; readonly authority: string };
  readonly undo: Undo[];
  /** All if absent. */
  readonly parts?: RuntimeOptions['parts'];
  /** Where this node answers for logs, beside an API server that asks its nodes. */
  readonly kubeletPort?: number;
}

/** Starts it; a clean stop ends every pod, after a crash the next start takes them over. */
export function startMachinery(options: MachineryOptions): Runtime {
  const { start, paths, client, metrics, apiServer, undo } = options;
  const { log } = client.connection;
  const { name } = start;
  const events = createEventRecorder({
    client,
    reporter: 'transship.dev/embedded',
    instance: name,
  });
  undo.push(() => events.stop());
  const directories = createDirectoryVolumes(paths.directories, log);
  undo.push(() => directories.close());
  const { nodes = [] } = start;
  const runtimePorts = {
    client,
    events,
    log,
    metrics,
    ...nodePorts(options, name),
    ...(nodes.length === 0 ? {} : { further: nodes.map((node) => nodePorts(options, node)) }),
    probes: createProbes(),
    directories,
    caBundle: apiServer.authority,
    apiServer: { host: apiServer.host, port: apiServer.port },
    baseEnv: baseEnvironment(makeProgram(paths.directory)),
  };
  const runtime = startRuntime(runtimePorts, { parts: options.parts ?? 'all' });
  undo.push(() => runtime.stop({ endPods: true }));
  return runtime;
}

/** The processes and volumes of one node, which is named as its agent: the first as the cluster. */
function nodePorts(options: MachineryOptions, node: string): NodePorts {
  const { home, start, paths, client, undo, kubeletPort } = options;
  const { log } = client.connection;
  const { name, nodes = [] } = start;
  const isFirst = node === name;
  const own = isFirst ? paths.directory : join(paths.directory, 'nodes', node);
  // What agents attach must not be kept busy by containers that saw it when they began: those of
  // the other clusters here see it too.
  const foreignMounts = [dirname(agentPaths(home, name).directory)];
  const root = isFirst ? paths.pods : join(own, 'pods');
  const processes = createProcesses({ root, foreignMounts, mountPoints: machineMountPoints });
  undo.push(() => processes.close());
  const at = (one: string) => agentPaths(home, one, one === name ? undefined : name);
  const agentOf = (one: string) => createControlClient(one, at(one).controlSocket);
  const agent = agentOf(node);
  const mounts = { agent, directory: join(own, 'volumes'), log };
  const common = { processes, files: processes.files, nodes: [nodeFacts(node, kubeletPort)] };
  if (nodes.length === 0) return { ...common, volumes: createVolumeMounts(mounts) };
  const watch = watchAgent(agent);
  undo.push(() => watch.stop());
  const others = [name, ...nodes].filter((one) => one !== node).map(agentOf);
  const { attachments } = at(node);
  const wish = (volume: string, leader: string) => askToLead(client, volume, leader);
  const lead = { clock: client.connection.clock, others, wish };
  const volumes = createVolumeMounts({ ...mounts, several: { lead, attachments } });
  return { ...common, volumes, isUp: watch.isUp, onReturn: watch.onReturn };
}

/** The controllers do the rest. */
async function askToLead(client: KubeClient, volume: string, leader: string): Promise<void> {
  const metadata = { annotations: { [annotations.lead]: leader } };
  await client.patch(resources.volumes, { namespace: '', name: volume }, { metadata });
}

function nodeFacts(name: string, kubeletPort: number | undefined): NodeFacts {
  return {
    ...(kubeletPort === undefined ? {} : { kubeletPort }),
    name,
    labels: { 'kubernetes.io/hostname': name },
    cpus: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    operatingSystem: os.platform(),
    architecture: os.arch() === 'x64' ? 'amd64' : os.arch(),
    kernelVersion: os.release(),
    machineId: os.hostname(),
    version: versionInfo.gitVersion,
  };
}

/**
 * Pods that move data run `transship`, which need not be installed here: a directory in which the
 * word is this very program.
 */
function makeProgram(directory: string): string {
  const bin = join(directory, 'bin');
  fs.mkdirSync(bin, { recursive: true, mode: 0o755 });
  const main = join(import.meta.dirname, `../../main${extname(import.meta.filename)}`);
  const words = [process.execPath, '--disable-warning=ExperimentalWarning', main].map(quote);
  const path = join(bin, 'transship');
  fs.writeFileSync(`${path}.new`, `#!/bin/sh\nexec ${words.join(' ')} "$@"\n`, { mode: 0o755 });
  fs.renameSync(`${path}.new`, path);
  return bin;
}

/** Nothing of the person's environment but what programs need to run at all. */
function baseEnvironment(programs: string): Readonly<Record<string, string>> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin', HOME = '/', LANG = 'C.UTF-8' } = process.env;
  return { PATH: `${programs}:${PATH}`, HOME, LANG };
}
