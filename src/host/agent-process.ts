/** The agent as a process: its ports are made here, wired, and taken down again. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { startAgent, type Agent } from '../agent/agent.ts';
import { type Exchange, serveControl } from '../agent/control.ts';
import type { AgentInfo, AgentPorts, OpenPool } from '../agent/ports.ts';
import { fail } from '../base/errors.ts';
import { checkName } from '../base/names.ts';
import type { StartAgent } from '../cli/ports.ts';
import { openCloud } from '../peer/cloud.ts';
import { openPool } from '../volume/pool.ts';
import { type AgentPaths, agentPaths } from './agent-paths.ts';
import { createAttacher } from './attacher.ts';
import { createClock } from './clock.ts';
import {
  type HttpServer,
  serveControlSocket,
  serveControlTls,
  serveMetrics,
  serveMetricsTo,
} from './control-server.ts';
import { type ControlTls, readControlTls } from './control-tls.ts';
import { createDisk } from './disk.ts';
import { openIdentity } from './identity.ts';
import { createImages } from './images.ts';
import { meterDisk, meterPacker } from './metered.ts';
import { createMetrics } from './metrics.ts';
import { createNbdServer, type NbdServerOptions } from './nbd-server.ts';
import { createRemoteAttacher } from './node-devices.ts';
import { openObjectStore } from './object-stores.ts';
import { createPacker } from './packer.ts';
import { lockPool } from './pool-lock.ts';
import { createRandom } from './random.ts';
import { runService, type Wiring } from './service-process.ts';
import {
  advertisedAddress,
  isEverywhere,
  type ListenPlace,
  parseListen,
  readSettings,
  type Settings,
  writeSettings,
} from './settings.ts';
import { createTlsDialer, listenForPeers, type PeerListener } from './tls-link.ts';

export interface AgentProcessOptions {
  readonly home: string;
  readonly start: StartAgent;
  readonly version: string;
  /** Called once, when the agent serves or has failed to. */
  readonly onReady: (error?: unknown) => void;
}

interface ControlTcp extends ListenPlace {
  readonly tls: ControlTls;
  readonly reread: () => ControlTls;
}

/** An agent of today has one pool. */
const poolName = 'main';

/** Runs until it is told to stop; resolves with the exit code. */
export async function runAgentProcess(options: AgentProcessOptions): Promise<number> {
  return runService({
    what: 'agent',
    cluster: options.start.name,
    wire: async (wiring) => wire(options, wiring),
    onReady: options.onReady,
  });
}

async function wire(options: AgentProcessOptions, wiring: Wiring): Promise<void> {
  const { start, home, version } = options;
  const { undo } = wiring;
  const paths = agentPaths(home, checkName(start.name, 'cluster'), start.memberOf);
  const cluster = start.agentOf ?? start.memberOf;
  const memberOf = cluster === start.name ? undefined : cluster;
  fs.mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  const settings = mergeSettings(readSettings(paths), start);
  const { host, port } = parseListen(settings.listen ?? '127.0.0.1:0');
  const advertised = advertisedBy(host, settings.advertise);
  const clock = createClock();
  const metrics = createMetrics();
  const late: { agent?: Agent } = {};
  const shared = { ...wiring, clock, metrics, late };
  const pool = await openOnlyPool(paths, settings, shared);
  const metricsText = async () => late.agent?.metricsText() ?? metrics.text();
  const metricsServer = await serveMetrics(settings.metricsPort ?? 0, metricsText);
  undo.push(() => metricsServer.close());
  // Not remembered: it is open as long as it is asked for.
  if (start.metricsListen !== undefined) {
    const shown = await serveMetricsTo(parseListen(start.metricsListen), metricsText);
    undo.push(() => shown.close());
  }
  const identity = openIdentity(paths.directory, start.name);
  const place = { host, port, peerPort: settings.peerPort ?? 0 };
  const listening: { at?: PeerListener } = {};
  const self = {
    id: identity.id,
    name: identity.name,
    ...(memberOf === undefined ? {} : { memberOf }),
    fingerprint: identity.fingerprint,
    agentVersion: version,
    capabilities: [],
    addresses: () => {
      if (listening.at === undefined) return [];
      return [advertised ?? addressOf(host!, listening.at.port)];
    },
  };
  const nbdTcp = networkNbd(settings);
  const controlTcp = networkControl(settings);
  const where = { paths, version, cluster: start.name, metricsPort: metricsServer.port! };
  const info = { ...infoOf(where), ...(nbdTcp && { nbdAddress: settings.nbdListen! }) };
  const ports = portsOf(paths, settings, shared);
  const agent = await startAgent({
    info,
    ports,
    pools: [pool],
    self,
    openCloud: (store, replicas) => {
      const dialer = createTlsDialer(identity);
      return openCloud({ ...ports, self, disk: ports.home, store, replicas, dialer });
    },
  });
  late.agent = agent;
  undo.push(() => agent.close());
  limitRates(agent, settings.bytesPerSecond);
  listening.at = await listenToPeers(agent, identity, place, wiring);
  await openDoors(agent, paths, { ...shared, nbdTcp, controlTcp });
  const peerPort = listening.at.port;
  writeSettings(paths, { ...settings, peerPort, metricsPort: metricsServer.port! });
  fs.writeFileSync(paths.pid, `${process.pid}\n`, { mode: 0o600 });
  undo.push(() => fs.rmSync(paths.pid, { force: true }));
}

/** A token with an address nobody can come to would be found out at the other side, late. */
function advertisedBy(host: string | undefined, advertise: string | undefined) {
  if (advertise !== undefined) return advertisedAddress(advertise);
  if (!isEverywhere(host)) return undefined;
  return fail(
    'BadArgument',
    'peers cannot come to all addresses: say one with --advertise HOST:PORT',
  );
}

interface Shared extends Wiring {
  readonly clock: ReturnType<typeof createClock>;
  readonly metrics: ReturnType<typeof createMetrics>;
  /** Set when the agent is there: pools and metrics are opened before it and tell it things. */
  readonly late: { agent?: Agent };
}

/** What is given now replaces what was given before. */
function mergeSettings(saved: Settings, start: StartAgent): Settings {
  const { name: _name, metricsListen: _open, ...now } = start;
  const { peerPort, ...rest } = saved;
  // A new address to listen on makes the remembered port meaningless.
  const keep = now.listen === undefined || now.listen === saved.listen;
  return { ...rest, ...(keep && peerPort !== undefined ? { peerPort } : {}), ...now };
}

async function openOnlyPool(
  paths: AgentPaths,
  settings: Settings,
  shared: Shared,
): Promise<OpenPool> {
  const { undo, log, clock, metrics, late } = shared;
  const path = settings.poolDirectory ?? paths.pool;
  fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  const lock = lockPool(path);
  undo.push(() => lock.release());
  const packer = createPacker();
  undo.push(() => packer.close());
  const { capacityBytes, cacheBytes } = settings;
  const api = await openPool({
    disk: meterDisk(createDisk(path), metrics, poolName),
    clock,
    random: createRandom(),
    log,
    packer: meterPacker(packer, metrics, poolName),
    heal: async (names) => (await late.agent?.heal(names)) ?? [],
    onDemand: (volume, fetch) => late.agent?.noteDemand(volume, fetch),
    onFailure: ({ reason, message }) => {
      metrics.add('transship_disk_failures_total', 1, { pool: poolName, reason });
      const happening = { type: 'Critical', reason, kind: 'Pool', name: poolName } as const;
      late.agent?.parts.events.add({ ...happening, note: message });
    },
    ...(capacityBytes === undefined ? {} : { capacityBytes }),
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
  });
  undo.push(() => api.close());
  return { name: poolName, path, api };
}

function infoOf(from: {
  readonly paths: AgentPaths;
  readonly version: string;
  readonly cluster: string;
  readonly metricsPort: number;
}): AgentInfo {
  const { paths, version, cluster, metricsPort } = from;
  return {
    cluster,
    version,
    node: process.version,
    pid: process.pid,
    startedMs: Date.now(),
    homePath: paths.directory,
    controlSocket: paths.controlSocket,
    nbdSocket: paths.nbdSocket,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
  };
}

function portsOf(paths: AgentPaths, settings: Settings, shared: Shared): AgentPorts {
  const { devicesSocket } = settings;
  const { clock, log, metrics, requestStop } = shared;
  const random = createRandom();
  return {
    clock,
    log,
    metrics,
    random,
    home: createDisk(paths.directory),
    images: createImages(paths.directory),
    attacher:
      devicesSocket === undefined
        ? createAttacher(paths.attachments, process.argv[1] ?? '')
        : createRemoteAttacher(devicesSocket, log),
    openObjectStore: (place) => openObjectStore(place, { clock, random }),
    // The answer to the request that asked for it goes out first.
    requestStop: () => void setImmediate(requestStop),
  };
}

/** The limit of `--rate` holds for every peer, also those that join later. */
function limitRates(agent: Agent, bytesPerSecond: number | undefined): void {
  if (bytesPerSecond === undefined) return;
  const { cloud } = agent.parts.clusters;
  const limit = () => {
    for (const peer of cloud.peers()) {
      peer.setRates({ incoming: bytesPerSecond, outgoing: bytesPerSecond });
    }
  };
  cloud.onChange(limit);
  limit();
}

/** `port`: what was asked for; 0 for any. */
interface Place extends ListenPlace {
  /** What it was the last time; 0 for none. */
  readonly peerPort: number;
}

/** The port of the last time, because peers know it; any other when somebody took it. */
async function listenToPeers(
  agent: Agent,
  identity: ReturnType<typeof openIdentity>,
  place: Place,
  { log, undo }: Wiring,
): Promise<PeerListener> {
  const { cloud } = agent.parts.clusters;
  const listen = (port: number) =>
    listenForPeers({
      identity,
      host: place.host,
      port,
      onLink: (link) => cloud.accept(link),
      onRefused: (error) => log.log('debug', 'a connection became no link', { error }),
    });
  const first = place.port !== 0 ? place.port : place.peerPort;
  const listener = await listen(first).catch((error: unknown) => {
    if (place.port !== 0 || first === 0) throw error;
    log.log('warn', 'the peer port of the last time is taken', { port: first });
    return listen(0);
  });
  // Not waited for: links that are up end after this, when the cloud is closed.
  undo.push(() => void listener.close());
  return listener;
}

/** NBD for other hosts: only over TLS, and only for clients that the authority signed. */
function networkNbd(settings: Settings): NbdServerOptions['tcp'] {
  const { nbdListen, nbdTlsDirectory: directory } = settings;
  if (nbdListen === undefined && directory === undefined) return undefined;
  if (nbdListen === undefined || directory === undefined) {
    fail('BadArgument', '--nbd-listen and --nbd-tls go together');
  }
  const { host, port } = parseListen(nbdListen);
  if (port === 0) fail('BadArgument', '--nbd-listen needs a port');
  const read = (name: string): string => {
    try {
      return fs.readFileSync(join(directory, name), 'utf8');
    } catch (error) {
      return fail('BadArgument', `--nbd-tls: ${join(directory, name)} cannot be read`, error);
    }
  };
  const certificate = read('server-cert.pem');
  const key = read('server-key.pem');
  return { host, port, tls: { certificate, key, authority: read('ca-cert.pem') } };
}

async function openDoors(
  agent: Agent,
  paths: AgentPaths,
  shared: Shared & {
    readonly nbdTcp: NbdServerOptions['tcp'];
    readonly controlTcp: ControlTcp | undefined;
  },
): Promise<void> {
  const { undo, log, metrics, nbdTcp } = shared;
  const nbd = await createNbdServer({
    socketPath: paths.nbdSocket,
    ...(nbdTcp && { tcp: nbdTcp }),
    exports: agent.exports,
    onOpen: agent.onOpen,
    log,
    metrics,
  });
  undo.push(() => nbd.close());
  const metricsText = () => agent.metricsText();
  const serve = (exchange: Exchange) =>
    serveControl(agent.handlers, exchange, { log, metricsText });
  const control: HttpServer = await serveControlSocket(paths.controlSocket, serve);
  undo.push(() => control.close());
  if (shared.controlTcp === undefined) return;
  const remote = await serveControlTls(shared.controlTcp, serve);
  undo.push(() => remote.close());
}

/** The control API for controllers on other nodes: only over TLS, with certificates of both. */
function networkControl({ controlListen, controlTlsDirectory }: Settings): ControlTcp | undefined {
  if (controlListen === undefined && controlTlsDirectory === undefined) return undefined;
  if (controlListen === undefined || controlTlsDirectory === undefined) {
    fail('BadArgument', '--control-listen and --control-tls go together');
  }
  const { host, port } = parseListen(controlListen);
  if (port === 0) fail('BadArgument', '--control-listen needs a port');
  const reread = () => readControlTls(controlTlsDirectory);
  return { host, port, tls: reread(), reread };
}

function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
