import { resolve } from 'node:path';
import type { Command } from 'commander';
import { add, given, option, type Registry } from '../command.ts';

interface AttachOptions {
  readonly mount?: string;
  readonly format?: string;
  readonly readOnly?: boolean;
}

interface UriOptions {
  readonly tls?: string;
}

/** attach, detach, uri. */
export function volumeDoorCommands(registry: Registry, volume: Command): void {
  add<AttachOptions>(registry, volume, {
    name: 'attach',
    about: 'make a volume a block device or a mounted directory of this host',
    args: [['<volume>', 'the volume', 'volume']],
    options: [
      option('--mount <directory>', 'mount the file system on it there', { completes: 'file' }),
      option('--format <type>', 'make this file system first when the volume is blank', {
        choices: ['ext4', 'xfs'],
      }),
      option('--read-only', 'refuse writes'),
    ],
    details: 'Uses the kernel NBD client where there is one, else nbdfuse and a loop device.',
    examples: [
      ['transship volume attach db', 'prints the device'],
      ['transship volume attach db --mount /mnt/db --format ext4', 'ready to use'],
    ],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      const mount = options.mount;
      const attached = await client.call('volume.attach', {
        volume: name!,
        ...given('mount', mount && resolve(cli.ports.workingDirectory, mount)),
        ...given('format', options.format),
        ...given('readOnly', options.readOnly),
      });
      if (cli.options.output !== undefined) return cli.print(attached);
      // The place is the data: `cd $(transship volume attach db --mount /mnt/db)`.
      cli.out(`${attached.spec.mount ?? attached.status.device ?? ''}\n`);
      return undefined;
    },
  });
  add<Record<string, never>>(registry, volume, {
    name: 'detach',
    about: 'unmount and remove the device; leaves nothing behind',
    args: [['<volume>', 'the volume', 'volume']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      await client.call('volume.detach', { volume: name! });
      cli.out(`volume/${name} detached\n`);
    },
  });
  add<UriOptions>(registry, volume, {
    name: 'uri',
    about: 'the NBD address of a volume, as qemu, libnbd and fio take it',
    args: [['<volume>', 'the volume', 'volume']],
    options: [
      option(
        '--tls <directory>',
        'the address over TLS, for a client whose certificates are there',
        {
          completes: 'file',
        },
      ),
    ],
    examples: [
      ['nbdinfo "$(transship volume uri db)"', 'what the server offers'],
      ['qemu-img convert -f raw disk.raw -O raw "$(transship volume uri db)" -n', 'fill it'],
    ],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      const answer = await client.call('volume.uri', {
        volume: name!,
        ...given('tls', options.tls && resolve(cli.ports.workingDirectory, options.tls)),
      });
      if (cli.options.output === undefined) cli.out(`${answer.uri}\n`);
      else await cli.print(answer);
    },
  });
}
