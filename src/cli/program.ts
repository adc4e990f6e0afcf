/** The whole command line: the table of commands. */
import type { Command } from 'commander';
import { exitCodes } from '../base/reasons.ts';
import { examplesText, group, type Registry } from './command.ts';
import { createCommandLine, emptyProgram } from './command-line.ts';
import { clusterCommands } from './commands/cluster.ts';
import { controllerCommand } from './commands/controller.ts';
import { csiCommand } from './commands/csi.ts';
import { nodeAgentCommand, nodeDevicesCommand } from './commands/node-agent.ts';
import { hookCommands } from './commands/hook.ts';
import { installCommand } from './commands/install.ts';
import { lifecycleCommands } from './commands/lifecycle.ts';
import { migrateCommands, rehearseCommand } from './commands/migrate.ts';
import { migrationCommands } from './commands/migration.ts';
import { moverBlockCommands } from './commands/mover-block.ts';
import { moverCommands } from './commands/mover.ts';
import { objectCommands } from './commands/objects.ts';
import { jobCommands, observeCommands } from './commands/observe.ts';
import { policyCommands } from './commands/policy.ts';
import { planCommands } from './commands/plan.ts';
import { poolCommands } from './commands/pool.ts';
import { poolDrainCommands } from './commands/pool-drain.ts';
import { repositoryCommands } from './commands/repository.ts';
import { replicaCommands } from './commands/replica.ts';
import { replicateCommands } from './commands/replicate.ts';
import { shellCommands } from './commands/shell.ts';
import { uninstallCommand } from './commands/uninstall.ts';
import { teleportCommands } from './commands/teleport.ts';
import { volumeCommands } from './commands/volume.ts';
import { volumeChangedCommand } from './commands/volume-changed.ts';
import { volumeDataCommands } from './commands/volume-data.ts';
import { volumeDoorCommands } from './commands/volume-doors.ts';
import { completeWords } from './completion.ts';
import { Cli } from './context.ts';
import type { CliPorts } from './ports.ts';

const start: readonly (readonly [string, string])[] = [
  ['transship up east west --detach', 'two clusters on this machine'],
  ['transship volume create db --size 10Gi --cluster east', 'a volume in one'],
  ['transship teleport db --from east --to west', 'usable in the other, now'],
  ['transship teleport watch db --cluster west', 'its data follows'],
];

/** Builds the table. The docs generator and completion read it too. */
export function buildProgram(registry: Registry): Command {
  const program = emptyProgram();
  program.addHelpText('after', examplesText(start));
  lifecycleCommands(registry, program);
  const volume = group(program, 'volume', 'volumes: make, look, copy, open, delete');
  volumeCommands(registry, volume);
  volumeDataCommands(registry, volume);
  volumeChangedCommand(registry, volume);
  volumeDoorCommands(registry, volume);
  replicaCommands(registry, group(program, 'replica', 'copies of a volume on several nodes'));
  teleportCommands(registry, group(program, 'teleport', 'volumes on their way to this cluster'));
  const plan = group(program, 'plan', 'which namespaces move where, and how');
  planCommands(registry, plan);
  rehearseCommand(registry, plan);
  migrateCommands(registry, group(program, 'migrate', 'run a plan: copy ahead, cut over, go back'));
  migrationCommands(registry, group(program, 'migration', 'runs of plans: watch, steer, report'));
  replicateCommands(
    registry,
    group(program, 'replicate', 'copies of namespaces in another cluster, beside the source'),
  );
  repositoryCommands(
    registry,
    group(program, 'repository', 'places outside all clusters that volumes are saved in'),
  );
  hookCommands(registry, group(program, 'hook', 'what plans run between their steps'));
  clusterCommands(
    registry,
    group(program, 'cluster', 'the cloud of clusters that trust each other'),
  );
  const pool = group(program, 'pool', 'where data lives');
  poolCommands(registry, pool);
  poolDrainCommands(registry, pool);
  policyCommands(registry, group(program, 'history-policy', 'how much of the past is kept'));
  jobCommands(registry, group(program, 'job', 'imports, exports and scrubs in the agent'));
  objectCommands(registry, program);
  installCommand(registry, program);
  uninstallCommand(registry, program);
  controllerCommand(registry, program);
  csiCommand(registry, program);
  nodeAgentCommand(registry, program);
  nodeDevicesCommand(registry, program);
  moverCommands(registry, program);
  moverBlockCommands(registry, program);
  observeCommands(registry, program);
  shellCommands(registry, program);
  return program;
}

/** Runs one command line (without the program's name); resolves with the exit code. */
export async function runCli(args: readonly string[], ports: CliPorts): Promise<number> {
  const line = createCommandLine(buildProgram, ports);
  if (args[0] === '__complete') return complete(args.slice(1), line.program, ports);
  // An option of the program would take the word from commands that have `--version BACKUP`.
  return line.run(args[0] === '--version' ? ['version', ...args.slice(1)] : args);
}

/** What shells and kubectl call while a person types; it must not fail, whatever they typed. */
async function complete(
  args: readonly string[],
  program: Command,
  ports: CliPorts,
): Promise<number> {
  const words = args[0] === '--' ? args.slice(1) : args;
  ports.terminal.out(await completeWords(new Cli(ports, {}), program, words));
  return exitCodes.done;
}
