/** How commands are declared: commander's commands with our parsing, help style and handlers. */
import { Argument, type Command, Option } from 'commander';
import { checkName } from '../base/names.ts';
import { exitCodes } from '../base/reasons.ts';
import { parseDuration, parseRate } from '../base/units.ts';
import { Cli, type GlobalOptions } from './context.ts';
import { report } from './failure.ts';
import { parseOutput } from './output.ts';
import type { CliPorts } from './ports.ts';

/** What an argument or option value names; completion asks for these. */
export type Completes =
  | 'volume'
  | 'cluster'
  | 'peer'
  | 'teleport'
  | 'plan'
  | 'migration'
  | 'replication'
  | 'decision'
  | 'step'
  | 'policy'
  | 'snapshot'
  | 'pool'
  | 'job'
  | 'shell'
  | 'file';

export type Handler<Options> = (
  cli: Cli,
  args: readonly string[],
  options: Options,
) => Promise<number | undefined | void>;

export interface CommandSpec<Options> {
  readonly name: string;
  readonly about: string;
  /** As in commander: `<volume>`, `[name]`, `<path>`. */
  readonly args?: readonly (readonly [syntax: string, about: string, completes?: Completes])[];
  readonly options?: readonly Option[];
  /** Command lines with a word on each; shown below the help. */
  readonly examples?: readonly (readonly [line: string, about: string])[];
  readonly details?: string;
  readonly isDefault?: boolean;
  readonly hidden?: boolean;
  readonly run: Handler<Options>;
}

/** Where commands are collected; `exit` receives the code of the one that ran. */
export interface Registry {
  readonly ports: CliPorts;
  exit(code: number): void;
}

/** Commander's argument with what its value names. */
class NamedArgument extends Argument {
  readonly completes: Completes | undefined;

  constructor(syntax: string, about: string, completes: Completes | undefined) {
    super(syntax, about);
    this.completes = completes;
  }
}

/** Commander's option with what its value names. */
class NamedOption extends Option {
  readonly completes: Completes | undefined;

  constructor(flags: string, about: string, completes: Completes | undefined) {
    super(flags, about);
    this.completes = completes;
  }
}

/** What an argument or option names, when it was declared here. */
export function completesOf(declared: object): Completes | undefined {
  const named = declared instanceof NamedArgument || declared instanceof NamedOption;
  return named ? declared.completes : undefined;
}

/** Adds a command below `parent`. */
export function add<Options>(
  registry: Registry,
  parent: Command,
  spec: CommandSpec<Options>,
): Command {
  const command = parent
    .command(spec.name, { isDefault: spec.isDefault ?? false, hidden: spec.hidden ?? false })
    .description(spec.about)
    .allowExcessArguments(false);
  for (const [syntax, about, completes] of spec.args ?? []) {
    command.addArgument(new NamedArgument(syntax, about, completes));
  }
  for (const option of spec.options ?? []) command.addOption(option);
  if (spec.details !== undefined) command.addHelpText('after', `\n${spec.details}`);
  if (spec.examples !== undefined) command.addHelpText('after', examplesText(spec.examples));
  command.action(async (...given: unknown[]) => {
    const cli = new Cli(registry.ports, command.optsWithGlobals<GlobalOptions>());
    const args = given.slice(0, command.registeredArguments.length) as (string | string[])[];
    try {
      const words = args.flat().filter((word) => word !== undefined);
      const code = await spec.run(cli, words, command.opts() as Options);
      registry.exit(code ?? exitCodes.done);
    } catch (error) {
      registry.exit(report(registry.ports.terminal, error));
    }
  });
  return command;
}

/** A group such as `volume`; alone it prints its help as an error. */
export function group(parent: Command, name: string, about: string): Command {
  return parent.command(name).description(about).helpCommand(false);
}

export function examplesText(examples: readonly (readonly [string, string])[]): string {
  const lines = examples.map(([line, about]) => `  # ${about}\n  ${line}`);
  return `\nExamples:\n${lines.join('\n')}`;
}

interface OptionExtras {
  /** `before` is what the same option gave earlier in the line: for those that may be repeated. */
  readonly parse?: (text: string, before?: unknown) => unknown;
  readonly completes?: Completes;
  readonly choices?: readonly string[];
  readonly mandatory?: boolean;
  readonly hidden?: boolean;
}

export function option(flags: string, about: string, extras: OptionExtras = {}): Option {
  const made = new NamedOption(flags, about, extras.completes);
  if (extras.parse !== undefined) made.argParser(extras.parse);
  if (extras.choices !== undefined) made.choices([...extras.choices]);
  if (extras.mandatory === true) made.makeOptionMandatory();
  if (extras.hidden === true) made.hideHelp();
  return made;
}

/** Options that many commands share; new ones each time because commander keeps state in them. */
export const shared = {
  at: () => option('--at <moment>', 'a moment of its history: RFC 3339 or an age such as 90s'),
  snapshot: () => option('--snapshot <name>', 'one of its snapshots', { completes: 'snapshot' }),
  policy: () =>
    option('--history-policy <policy>', 'how long which points of the past are kept', {
      completes: 'policy',
    }),
  pool: () => option('--pool <pool>', 'the pool, when there are several', { completes: 'pool' }),
  wait: (what: string) => option('--wait', `return only when ${what}`),
  timeout: () =>
    option('--timeout <duration>', 'how long to wait; exit 5 when it passes (for example 10m)', {
      parse: parseDuration,
    }),
  watch: () => option('-w, --watch', 'print again whenever something changes'),
  rate: () =>
    option('--rate <rate>', 'fetch no faster than this (100MiB/s, 1Gbit/s, unlimited)', {
      parse: (text) => ({ bytesPerSecond: parseRate(text) }),
    }),
} as const;

export interface RateOption {
  readonly rate?: { readonly bytesPerSecond: number | undefined };
}

export const globalOptions = (): readonly Option[] => [
  option('-o, --output <format>', 'table, wide, json, yaml or name', { parse: parseOutput }),
  option('-c, --cluster <name>', 'the cluster to talk to (default: the only one running)', {
    completes: 'cluster',
    parse: (text) => checkName(text, 'cluster'),
  }),
  option('-n, --namespace <name>', 'the namespace (default: default)', {
    parse: (text) => checkName(text, 'namespace'),
  }),
  option('--context <name>', 'a context of the kubeconfig: any Kubernetes cluster'),
  option('--kubeconfig <path>', 'the kubeconfig (default: KUBECONFIG, ~/.kube/config)', {
    completes: 'file',
  }),
  option('-y, --yes', 'do not ask before destructive steps'),
];

/** A request field only when there is a value: absent and undefined differ on the wire. */
export function given<const K extends string, V>(
  key: K,
  value: V | undefined,
): { readonly [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [key in K]: V });
}
