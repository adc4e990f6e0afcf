/** How a command line is parsed and run, and how its help and its errors look. */
import { Command, CommanderError } from 'commander';
import { TransshipError } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import { exitCodes } from '../base/reasons.ts';
import { globalOptions, type Registry } from './command.ts';
import { report } from './failure.ts';
import type { CliPorts } from './ports.ts';

/** The program without commands: its name, and the options that all commands take. */
export function emptyProgram(): Command {
  const program = new Command('transship');
  program
    .description('Moves running workloads between Kubernetes clusters: volumes are usable at once.')
    .enablePositionalOptions(false)
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .helpCommand(false)
    .helpOption('-h, --help', 'what a command does, with examples');
  for (const one of globalOptions()) program.addOption(one);
  program.option('--no-color', 'no colour, as with NO_COLOR');
  return program;
}

export interface CommandLine {
  readonly program: Command;
  /** Words without the program's name; resolves with the exit code. */
  run(args: readonly string[]): Promise<number>;
}

/** For one run: commander keeps state in its commands. */
export function createCommandLine(
  build: (registry: Registry) => Command,
  ports: CliPorts,
): CommandLine {
  let exitCode: number = exitCodes.done;
  const program = build({ ports, exit: (code) => (exitCode = code) });
  prepare(program, ports);
  return {
    program,
    run: async (args) => {
      try {
        await program.parseAsync(args.length === 0 ? ['--help'] : [...args], { from: 'user' });
        return exitCode;
      } catch (error) {
        return parseFailure(ports, error);
      }
    },
  };
}

/** Help says "kubectl transship" to those who call it so. */
function inTheWords({ environment }: CliPorts, text: string): string {
  const asPlugin = environment['TRANSSHIP_INVOKED_AS']?.startsWith('kubectl') === true;
  if (!asPlugin) return text;
  return text.replaceAll(/(^Usage: |^ {2}|[`(])transship /gm, '$1kubectl transship ');
}

/** Commander's own exits and prints, turned into ours, at every level. */
function prepare(command: Command, ports: CliPorts): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => ports.terminal.out(inTheWords(ports, text)),
    // Its errors are printed by `parseFailure`, in the form all errors have.
    writeErr: () => undefined,
    getOutHelpWidth: () => 80,
    getErrHelpWidth: () => 80,
  });
  command.configureHelp({ showGlobalOptions: true });
  for (const child of command.commands) prepare(child, ports);
}

function parseFailure(ports: CliPorts, error: unknown): number {
  if (!(error instanceof CommanderError)) return report(ports.terminal, error);
  if (error.exitCode === 0) return exitCodes.done;
  const message =
    error.code === 'commander.help'
      ? 'a sub-command is missing'
      : error.message.replace(/^error: /, '');
  const shown = message.split('\n').map(printable).join('\n');
  return report(ports.terminal, new TransshipError('BadArgument', shown));
}
