import type { Command } from 'commander';
import { add, option, type Registry } from '../command.ts';

interface MoverOptions {
  readonly config: string;
}

/** mover: what pods of a migration run; hidden from the first page of help. */
export function moverCommands(registry: Registry, program: Command): void {
  const mover = program
    .command('mover', { hidden: true })
    .description('what pods run that move the files of foreign storage')
    .helpCommand(false);
  const config = () =>
    option('--config <path>', 'what it is told, as JSON', { completes: 'file', mandatory: true });
  add<MoverOptions>(registry, mover, {
    name: 'server',
    about: 'serve volumes to clients with a certificate of this transfer, until SIGTERM',
    options: [config()],
    details:
      'Needs rsync and stunnel. Prints {"type":"Listening","port":N} when it serves: with port\n' +
      '0 it picks a free one. The certificates are ca.crt, tls.crt and tls.key in one directory.',
    examples: [['transship mover server --config /etc/mover/config.json', 'as pods do']],
    run: async (cli, _args, { config: path }) => cli.ports.runMover('server', path),
  });
  add<MoverOptions>(registry, mover, {
    name: 'client',
    about: 'copy one volume to a server, and compare both sides in the final pass',
    options: [config()],
    details:
      'Prints a line of JSON for each attempt, its progress and the end: Done, or Failed with\n' +
      'the reason. It reads the configuration before each attempt, so that its rate can change.',
    examples: [['transship mover client --config /etc/mover/config.json', 'as pods do']],
    run: async (cli, _args, { config: path }) => cli.ports.runMover('client', path),
  });
  resticCommands(registry, mover, config);
}

function resticCommands(
  registry: Registry,
  mover: Command,
  config: () => ReturnType<typeof option>,
): void {
  add<MoverOptions>(registry, mover, {
    name: 'backup',
    about: 'save one volume in a repository, with a list of everything that it has',
    options: [config()],
    details:
      'Needs restic. Makes the repository when it is not there. Prints lines of JSON as a\n' +
      'client does; the last is Saved, with the snapshots, or Failed with the reason.',
    examples: [['transship mover backup --config /etc/mover/config.json', 'as pods do']],
    run: async (cli, _args, { config: path }) => cli.ports.runMover('backup', path),
  });
  add<MoverOptions>(registry, mover, {
    name: 'restore',
    about: 'make one volume what was saved, and compare it with the list in the final pass',
    options: [config()],
    details:
      'Needs restic. Fetches what differs, removes what is gone, and prints lines of JSON:\n' +
      'Done, or Failed with the reason.',
    examples: [['transship mover restore --config /etc/mover/config.json', 'as pods do']],
    run: async (cli, _args, { config: path }) => cli.ports.runMover('restore', path),
  });
}
