/**
 * The movers alone. Their pods begin anew for each pass, which is often short: the whole table of
 * commands with all that it imports takes longer to load than many a pass needs.
 */
import type { Command } from 'commander';
import type { Registry } from './command.ts';
import { createCommandLine, emptyProgram } from './command-line.ts';
import { moverBlockCommands } from './commands/mover-block.ts';
import { moverCommands } from './commands/mover.ts';
import type { CliPorts } from './ports.ts';

/** As `runCli`, for lines that begin with `mover`. */
export async function runMovers(args: readonly string[], ports: CliPorts): Promise<number> {
  return createCommandLine(buildMovers, ports).run(args);
}

function buildMovers(registry: Registry): Command {
  const program = emptyProgram();
  moverCommands(registry, program);
  moverBlockCommands(registry, program);
  return program;
}
