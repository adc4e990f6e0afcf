import { resolve } from 'node:path';
import type { Command } from 'commander';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { parseSize } from '../../base/units.ts';
import { add, option, type Registry } from '../command.ts';

interface NodeAgentFlags {
  readonly of?: string;
  readonly pool?: string;
  readonly capacity?: number;
  readonly cacheSize?: number;
  readonly listen?: string;
  readonly advertise?: string;
  readonly controlListen?: string;
  readonly controlTls?: string;
  readonly devices?: string;
  readonly metricsListen?: string;
}

/** node-agent: what the pods of a DaemonSet run; hidden from the first page of help. */
export function nodeAgentCommand(registry: Registry, program: Command): void {
  add<NodeAgentFlags>(registry, program, {
    name: 'node-agent',
    hidden: true,
    about: 'run the agent of one node in this process until SIGTERM',
    args: [['<name>', 'its name in the Cluster object: that of the node']],
    options: [
      option('--of <cluster>', 'the cluster of which it is an agent; of its own name if not given'),
      option('--pool <directory>', 'where its data lives', { completes: 'file' }),
      option('--capacity <size>', 'use at most this much of the disk', { parse: parseSize }),
      option('--cache-size <size>', 'of the cache of uncompressed blocks', { parse: parseSize }),
      option('--listen <host:port>', 'where peers reach it'),
      option('--advertise <host:port>', 'what peers are told, where it is not --listen'),
      option('--control-listen <host:port>', 'serve the control API there over TLS'),
      option('--control-tls <directory>', 'with ca.crt, tls.crt (for transship-agent), tls.key', {
        completes: 'file',
      }),
      option('--metrics-listen <host:port>', 'GET /metrics there, for everybody who can reach it'),
      option('--devices <socket>', 'of node-devices, which attaches volumes for this agent', {
        completes: 'file',
      }),
    ],
    details:
      'Volumes stay as they are when it ends, and devices of pods wait for the next one.\n' +
      'Controllers reach it at https://HOST:PORT with a certificate of the same authority;\n' +
      'they find theirs in the directory that TRANSSHIP_AGENT_CERTIFICATES names.',
    examples: [['transship node-agent n1 --pool /var/lib/transship/pool', 'as pods do']],
    run: async (cli, [name = ''], flags) => {
      const at = (path: string) => resolve(cli.ports.workingDirectory, path);
      if ((flags.controlListen === undefined) !== (flags.controlTls === undefined)) {
        fail('BadArgument', '--control-listen and --control-tls go together');
      }
      const { pool, capacity, cacheSize, listen, advertise, controlListen, controlTls } = flags;
      const { devices, metricsListen } = flags;
      return cli.ports.runNodeAgent({
        name: checkName(name, 'node'),
        ...(flags.of === undefined ? {} : { agentOf: checkName(flags.of, 'cluster') }),
        ...(pool === undefined ? {} : { poolDirectory: at(pool) }),
        ...(capacity === undefined ? {} : { capacityBytes: capacity }),
        ...(cacheSize === undefined ? {} : { cacheBytes: cacheSize }),
        ...(listen === undefined ? {} : { listen }),
        ...(advertise === undefined ? {} : { advertise }),
        ...(controlListen === undefined ? {} : { controlListen }),
        ...(controlTls === undefined ? {} : { controlTlsDirectory: at(controlTls) }),
        ...(metricsListen === undefined ? {} : { metricsListen }),
        ...(devices === undefined ? {} : { devicesSocket: at(devices) }),
      });
    },
  });
}

interface NodeDevicesFlags {
  readonly socket: string;
  readonly directory: string;
}

/** node-devices: the other half of a node, which must outlive its agent. */
export function nodeDevicesCommand(registry: Registry, program: Command): void {
  add<NodeDevicesFlags>(registry, program, {
    name: 'node-devices',
    hidden: true,
    about: "keep the block devices of a node's pods until SIGTERM",
    options: [
      option('--socket <path>', 'where the agent asks for them', {
        mandatory: true,
        completes: 'file',
      }),
      option('--directory <directory>', 'where they are recorded', {
        mandatory: true,
        completes: 'file',
      }),
    ],
    details:
      'It runs beside `node-agent --devices`, in a container of its own: devices wait for\n' +
      'as long as the agent is away. Needs root, /dev of the node and /dev/fuse.',
    examples: [
      [
        'transship node-devices --socket /run/transship/devices.sock --directory /run/transship/d',
        'as pods do',
      ],
    ],
    run: async (cli, _args, { socket, directory }) => {
      const at = (path: string) => resolve(cli.ports.workingDirectory, path);
      return cli.ports.runNodeDevices({ socketPath: at(socket), directory: at(directory) });
    },
  });
}
