/** The program: finds out what is asked, loads only that, wires the world to it. */
import { existsSync, readFileSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { homeOf } from './host/agent-paths.ts';
import { exitCodes } from './base/reasons.ts';

const mainPath = import.meta.filename;

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  rememberCompiled(homeOf(process.env));
  if (args[0] === 'agent') return runAgent(args.slice(1));
  if (args[0] === 'control-plane') return runPlane(args.slice(1));
  if (args[0] === 'door-keeper') return runKeeper(args.slice(1));
  if (args[0] === 'demo-part') return (await demo()).runPart(args.slice(1));
  return runCommand(args);
}

/** How `transship up` starts agents: `agent HOME SETTINGS`; not for people. */
async function runAgent([home = '', settings = '{}']: readonly string[]): Promise<number> {
  const [{ runAgentProcess }, { sayReady }] = await Promise.all([
    import('./host/agent-process.ts'),
    import('./host/service-process.ts'),
  ]);
  const start = JSON.parse(settings) as { readonly name: string };
  const onReady = (error?: unknown) => {
    sayReady(error);
    // Now, because an agent often ends by being killed.
    flushCompileCache();
  };
  const code = await runAgentProcess({ home, start, version: versionOf(), onReady });
  // Sockets of clients that hang would keep a stopped agent alive.
  process.exit(code);
}

/** How `transship up` starts control planes: `control-plane HOME SETTINGS`; not for people. */
async function runPlane([home = '', settings = '{}']: readonly string[]): Promise<number> {
  const [{ runControlPlane }, { sayReady }] = await Promise.all([
    import('./host/control-plane/process.ts'),
    import('./host/service-process.ts'),
  ]);
  const start = JSON.parse(settings) as { readonly name: string };
  const onReady = (error?: unknown) => {
    sayReady(error);
    flushCompileCache();
  };
  const code = await runControlPlane({ home, start, version: versionOf(), onReady });
  process.exit(code);
}

/** What keeps devices while the agent restarts: `door-keeper DIRECTORY`; not for people. */
async function runKeeper([directory = '']: readonly string[]): Promise<number> {
  const [{ runDoorKeeper }, { sayReady }] = await Promise.all([
    import('./host/door-keeper.ts'),
    import('./host/service-process.ts'),
  ]);
  process.exit(await runDoorKeeper(directory, sayReady));
}

async function runCommand(args: readonly string[]): Promise<number> {
  const home = homeOf(process.env);
  const [run, { createAgents }, { createPlanes }, host] = await Promise.all([
    args[0] === 'mover' ? movers() : commands(),
    import('./host/agents.ts'),
    import('./host/control-planes.ts'),
    terminalAndClock(),
  ]);
  // Timers of the clock keep no process alive; a command that waits for one has to.
  const alive = setInterval(() => undefined, 2 ** 30);
  return run(args, {
    ...host,
    agents: createAgents({ home, mainPath }),
    planes: createPlanes({ home, mainPath }),
    readInput: async (path, bytesMax) =>
      (await import('./host/input.ts')).readInput(path, bytesMax),
    readEnd: async (path, bytesMax) => (await import('./host/input.ts')).readEnd(path, bytesMax),
    writeArchive: async (path, files) =>
      (await import('./host/archive.ts')).writeArchive(path, files, Date.now()),
    writeText: async (path, text) => (await import('./host/output.ts')).writeText(path, text),
    openEditor: async (draft) => (await import('./host/editor.ts')).openEditor(draft, process.env),
    environment: process.env,
    workingDirectory: workingDirectory(),
    version: versionOf(),
    hostFindings: async () => (await import('./host/host-checks.ts')).hostFindings(home),
    runController: async (run) =>
      (await import('./host/controller-process.ts')).runController(home, run),
    runNodeAgent: async (start) =>
      (await import('./host/agent-process.ts')).runAgentProcess({
        home,
        start,
        version: versionOf(),
        onReady: () => undefined,
      }),
    runNodeDevices: async (devices) =>
      (await import('./host/node-devices.ts')).runNodeDevices(devices, mainPath),
    runCsi: async (options) =>
      (await import('./host/csi/process.ts')).runCsi(home, { ...options, version: versionOf() }),
    runMover: async (work, path) => (await import('./host/mover/mover.ts')).runMover(work, path),
    runBlockMover: async (order) =>
      (await import('./host/mover-block.ts')).runBlockMover(order, host.clock),
    runDemo: async (options) => (await demo()).runDemo(options, process.env, mainPath),
  }).finally(() => clearInterval(alive));
}

async function terminalAndClock() {
  const [{ createTerminal }, { createClock }] = await Promise.all([
    import('./host/terminal.ts'),
    import('./host/clock.ts'),
  ]);
  return { terminal: createTerminal(), clock: createClock() };
}

const commands = async () => (await import('./cli/program.ts')).runCli;

/** Of the table only what pods run: three times as fast a start. */
const movers = async () => (await import('./cli/mover-program.ts')).runMovers;

/** Loaded for the demo only. */
const demo = async () => import('./host/demo/demo.ts');

/** Three times as fast a start. Only in a home that is there: looking must not make one. */
function rememberCompiled(home: string): void {
  if (existsSync(home)) enableCompileCache(join(home, 'cache'));
}

/** A directory that was removed under a shell must not keep commands from running. */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return '/';
  }
}

function versionOf(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

// A reader that closed its end (`transship ... | head`) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done);
  throw error;
});

process.exitCode = await main();
// Somebody types: what is still being asked for a completion is not worth a wait.
if (process.argv[2] === '__complete') process.exit();
