import type { Command } from 'commander';
import { fail } from '../../base/errors.ts';
import { parseBlockSize } from '../../base/units.ts';
import { add, given, option, type RateOption, type Registry, shared } from '../command.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

interface SendOptions extends RateOption {
  readonly source: string;
  readonly to: Address;
  readonly certificates: string;
  readonly serverName?: string;
  readonly blockSize?: number;
  readonly rateFile?: string;
}

interface ReceiveOptions {
  readonly destination: string;
  readonly listen: Address;
  readonly certificates: string;
  readonly keepTail?: boolean;
  readonly reread?: boolean;
}

/** mover block-send, block-receive: raw devices; part of what pods of a migration run. */
export function moverBlockCommands(registry: Registry, program: Command): void {
  const mover = program.commands.find((command) => command.name() === 'mover');
  if (mover === undefined) return;
  sendCommand(registry, mover);
  receiveCommand(registry, mover);
}

const path = (flags: string, about: string) =>
  option(flags, about, { completes: 'file', mandatory: true });

const certificates = () =>
  path('--certificates <directory>', 'with ca.crt, tls.crt and tls.key of this transfer');

function sendCommand(registry: Registry, mover: Command): void {
  add<SendOptions>(registry, mover, {
    name: 'block-send',
    about: 'make a device of a receiver equal to this one; only what differs travels',
    options: [
      path('--source <path>', 'the block device or raw file to read'),
      option('--to <host:port>', 'the receiver', { parse: parseAddress, mandatory: true }),
      certificates(),
      option('--server-name <name>', 'that must be in the certificate of the receiver'),
      option('--block-size <size>', 'what is compared at once (default: 64KiB)', {
        parse: parseBlockSize,
      }),
      shared.rate(),
      option('--rate-file <path>', 'a file with such a rate; a change of it holds soon', {
        completes: 'file',
      }),
    ],
    details:
      'Prints lines of JSON: Progress, then Done with the digest of both sides. After a\n' +
      'failure, run it again: what has arrived is not sent again.',
    examples: [
      [
        'transship mover block-send --source /dev/disk --to db:8443 --certificates /tls',
        'in a pod',
      ],
    ],
    run: async (cli, _args, options) =>
      cli.ports.runBlockMover({
        side: 'send',
        sourcePath: options.source,
        ...options.to,
        certificates: options.certificates,
        ...given('serverName', options.serverName),
        ...given('blockBytes', options.blockSize),
        ...given('bytesPerSecond', options.rate?.bytesPerSecond),
        ...given('ratePath', options.rateFile),
      }),
  });
}

function receiveCommand(registry: Registry, mover: Command): void {
  add<ReceiveOptions>(registry, mover, {
    name: 'block-receive',
    about: 'let a sender make this device equal to its own, until one copy is complete',
    options: [
      path('--destination <path>', 'a block device, or a raw file that is made when absent'),
      option('--listen <host:port>', 'where; port 0 takes any free one', {
        parse: parseAddress,
        mandatory: true,
      }),
      certificates(),
      option('--keep-tail', 'leave what lies behind the end of the source; else it becomes zero'),
      option('--reread', 'read everything again for the closing audit'),
    ],
    details:
      'Prints {"type":"Listening","port":N} when it serves, then Progress, and Done at last.',
    examples: [
      [
        'transship mover block-receive --destination /dev/d --listen 0.0.0.0:0 --certificates /tls',
        'in a pod',
      ],
    ],
    run: async (cli, _args, options) =>
      cli.ports.runBlockMover({
        side: 'receive',
        destinationPath: options.destination,
        ...options.listen,
        certificates: options.certificates,
        keepTail: options.keepTail === true,
        reread: options.reread === true,
      }),
  });
}

function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) fail('BadArgument', `'${text}' is not HOST:PORT`);
  return { host, port };
}
