// docs/reference/cli.md from the table of commands.
import type { Argument, Command, Option } from 'commander';
import { createFakeWorld } from '../../src/cli/fake-ports.ts';
import { globalOptions } from '../../src/cli/command.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { exitCodes } from '../../src/base/reasons.ts';
import { code, generatedFrom, table } from './markdown.ts';

const classes: Readonly<Record<keyof typeof exitCodes, string>> = {
  done: 'done',
  failed: 'failed',
  usage: 'the command line is wrong; nothing was changed',
  refused: 'refused by a check',
  declined: 'declined: this cannot be done here',
  timedOut: 'timed out; it still runs',
  conflict: 'conflict, or not allowed',
  interrupted: 'interrupted, or answered with no',
};

export function cliReference(): string {
  const { ports } = createFakeWorld({});
  const program = buildProgram({ ports, exit: () => undefined });
  const lines = [
    generatedFrom('the commands in `src/cli/commands`'),
    '',
    '# Commands',
    '',
    'Also as `kubectl transship`. Data goes to stdout, everything else to stderr.',
    '',
    '## Options of every command',
    '',
    ...optionTable(globalOptions()),
    '',
    'Without `--cluster`, the cluster is that of `TRANSSHIP_CLUSTER`, else the only one that runs',
    'on this machine. `TRANSSHIP_HOME` (default `~/.transship`) holds all local state. `NO_COLOR`',
    'and `TERM=dumb` are honoured. Destructive commands show what goes and ask on a terminal;',
    'elsewhere they need `--yes`.',
    '',
    '## Exit codes',
    '',
    ...table(
      ['code', 'meaning'],
      Object.entries(exitCodes).map(([name, number]) => [
        String(number),
        classes[name as keyof typeof exitCodes],
      ]),
    ),
    '',
    'Which reason gives which code is in [reasons](reasons.md).',
    '',
    '## Units',
    '',
    ...table(
      ['what', 'written as'],
      [
        ['size', '`10Gi`, `512MiB`, `1.5T` (a bare letter is decimal, as in Kubernetes), `4096`'],
        ['rate', '`100MiB/s`, `1Gbit/s`, `unlimited`'],
        ['duration', '`90s`, `5m`, `1h30m`, `7d`, `0`'],
        ['moment', 'RFC 3339 (`2026-01-31T12:00:00Z`), an age (`90s`), `now`'],
        ['name', '1 to 63 lower-case letters, digits, dots and hyphens'],
      ],
    ),
    '',
  ];
  for (const command of program.commands) lines.push(...section(command, 'transship'));
  return `${lines.join('\n').trimEnd()}\n`;
}

function section(command: Command, parent: string): readonly string[] {
  const name = `${parent} ${command.name()}`;
  if (command.commands.length > 0) {
    const inner = command.commands.flatMap((child) => section(child, name));
    return [`## ${name}`, '', `${sentence(command.description())}`, '', ...inner];
  }
  const args = command.registeredArguments;
  const usage = [name, ...args.map(syntaxOf), ...(command.options.length > 0 ? ['[options]'] : [])];
  return [
    `${parent === 'transship' ? '##' : '###'} ${name}`,
    '',
    sentence(command.description()),
    '',
    '```',
    usage.join(' '),
    '```',
    '',
    ...argumentTable(args),
    ...(command.options.length > 0 ? [...optionTable(command.options), ''] : []),
    ...afterHelp(command),
  ];
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

function syntaxOf(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function argumentTable(args: readonly Argument[]): readonly string[] {
  if (args.length === 0) return [];
  const rows = args.map((argument) => [code(syntaxOf(argument)), argument.description]);
  return [...table(['argument', 'meaning'], rows), ''];
}

function optionTable(options: readonly Option[]): readonly string[] {
  const rows = options
    .filter((option) => !option.hidden)
    .map((option) => {
      const needed = option.mandatory ? ' (required)' : '';
      return [code(option.flags), `${option.description}${needed}`];
    });
  return table(['option', 'meaning'], rows);
}

/** Details and examples, which commander keeps as listeners of its help event. */
function afterHelp(command: Command): readonly string[] {
  const written: string[] = [];
  const context = { error: false, command, write: (text: string) => written.push(text) };
  // Commands are event emitters, which their types do not say.
  (command as unknown as NodeJS.EventEmitter).emit('afterHelp', context);
  const text = written.join('').trim();
  if (text === '') return [];
  const [details = '', examples] = text.split('Examples:\n');
  return [
    ...(details.trim() === '' ? [] : [details.trim(), '']),
    ...(examples === undefined
      ? []
      : ['```', ...examples.trimEnd().split('\n').map(unindent), '```', '']),
  ];
}

function unindent(line: string): string {
  return line.replace(/^ {2}/, '');
}
