/**
 * Completion. The scripts hold no knowledge: they call `transship __complete WORDS...`, which
 * answers from the command table, API servers and agents in the form that kubectl expects of its
 * plugins too: one candidate a line, a tab and a description, and last `:` with a directive.
 */
import type { Command, Option } from 'commander';
import { resources } from '../api/kinds/resources.ts';
import { itineraries } from '../flow/itineraries.ts';
import type { KubeClient } from '../kube/api.ts';
import type { KubeObject, ResourceType } from '../kube/objects.ts';
import { type Completes, completesOf } from './command.ts';
import type { Cli } from './context.ts';
import type { ControlClient } from '../api/control-client.ts';
import { decisionWords } from './replication/text.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;

/** As cobra numbers them: 4 is "offer no files", 0 is "offer files". */
const noFiles = 4;
const files = 0;

export interface Candidates {
  readonly words: readonly (readonly [word: string, about: string])[];
  readonly directive: number;
}

/** How long a completion may ask before it offers nothing: people type on. */
const patienceMs = 800;
/** Nobody reads more. */
const wordsMax = 500;

export async function completeWords(
  cli: Cli,
  program: Command,
  words: readonly string[],
): Promise<string> {
  const found = await candidatesFor(cli, program, words).catch(() => ({
    words: [],
    directive: noFiles,
  }));
  const last = words.at(-1) ?? '';
  const lines = found.words
    .filter(([word]) => word.startsWith(last))
    .map(([word, about]) => (about === '' ? `${word}\n` : `${word}\t${about}\n`));
  return `${lines.join('')}:${found.directive}\n`;
}

/** Where the words lead: a command, its arguments so far, an option waiting for its value. */
interface Position {
  readonly command: Command;
  readonly args: readonly string[];
  readonly waiting: Option | undefined;
  readonly cluster: string | undefined;
  readonly namespace: string | undefined;
}

function positionOf(program: Command, words: readonly string[]): Position {
  let command = program;
  let waiting: Option | undefined;
  let cluster: string | undefined;
  let namespace: string | undefined;
  const args: string[] = [];
  for (const word of words.slice(0, -1)) {
    if (waiting !== undefined) {
      if (waiting.long === '--cluster' || waiting.long === '--from') cluster = word;
      if (waiting.long === '--namespace') namespace = word;
      waiting = undefined;
    } else if (word.startsWith('-')) {
      const option = optionsOf(defaultOf(command)).find(
        ({ long, short }) => word === long || word === short,
      );
      waiting = option !== undefined && takesValue(option) ? option : undefined;
    } else {
      const next = command.commands.find((child) => child.name() === word);
      if (next === undefined) args.push(word);
      else command = next;
    }
  }
  const last = args.length === 0 ? command : defaultOf(command);
  return { command: last, args, waiting, cluster, namespace };
}

/** `teleport db` means `teleport start db`. */
function defaultOf(command: Command): Command {
  return command.commands.find((child) => child.name() === 'start') ?? command;
}

function takesValue(option: Option): boolean {
  return option.required || option.optional;
}

/** Its own options and those of its parents, which commander accepts everywhere. */
function optionsOf(command: Command): readonly Option[] {
  const parents = command.parent === null ? [] : optionsOf(command.parent);
  return [...command.options, ...parents].filter((option) => !option.hidden);
}

async function candidatesFor(
  cli: Cli,
  program: Command,
  words: readonly string[],
): Promise<Candidates> {
  const position = positionOf(program, words);
  const last = words.at(-1) ?? '';
  if (position.waiting !== undefined) return valuesOf(cli, position, position.waiting);
  if (last.startsWith('-')) {
    const options = optionsOf(defaultOf(position.command)).flatMap(({ long, description }) =>
      typeof long === 'string' ? [[long, description] as const] : [],
    );
    const help = ['--help', 'what this does, with examples'] as const;
    return { words: [...options, help], directive: noFiles };
  }
  // After a word that is no sub-command none can follow.
  const candidates = position.args.length === 0 ? position.command.commands : [];
  const children = candidates
    .filter((child) => !child.name().startsWith('__'))
    .map((child) => [child.name(), child.description()] as const);
  const argument = argumentAt(position);
  const known = argument === undefined ? undefined : completesOf(argument);
  if (known === undefined) return { words: children, directive: noFiles };
  // Sub-commands are known even when no agent answers.
  const nothing = { words: [], directive: noFiles };
  const named = await namesOf(cli, position, known).catch(() => nothing);
  return { words: [...children, ...named.words], directive: named.directive };
}

function argumentAt(position: Position): object | undefined {
  const { registeredArguments } = defaultOf(position.command);
  const at = registeredArguments[position.args.length];
  const last = registeredArguments.at(-1);
  return at ?? (last?.variadic === true ? last : undefined);
}

async function valuesOf(cli: Cli, position: Position, option: Option): Promise<Candidates> {
  if (option.long === '--output') {
    const formats = ['table', 'wide', 'json', 'yaml', 'name'];
    return { words: formats.map((word) => [word, ''] as const), directive: noFiles };
  }
  if (option.argChoices !== undefined) {
    return { words: option.argChoices.map((word) => [word, ''] as const), directive: noFiles };
  }
  const known = completesOf(option);
  return known === undefined ? { words: [], directive: noFiles } : namesOf(cli, position, known);
}

async function namesOf(cli: Cli, position: Position, what: Completes): Promise<Candidates> {
  if (what === 'file') return { words: [], directive: files };
  if (what === 'shell') return { words: shells.map((word) => [word, '']), directive: noFiles };
  if (what === 'cluster') {
    const names = cli.ports.agents.known();
    return { words: names.map((word) => [word, 'on this machine']), directive: noFiles };
  }
  if (what === 'decision') {
    const words = Object.values(decisionWords).map((word) => [word, 'decision'] as const);
    return { words, directive: noFiles };
  }
  if (what === 'step') return { words: stepWords(position), directive: noFiles };
  const late = new Promise<never>((_, reject) => {
    cli.ports.clock.after(patienceMs, () => reject(new Error('too late')));
  });
  const words = await Promise.race([askNames(cli, position, what), late]);
  return { words, directive: noFiles };
}

async function askNames(cli: Cli, position: Position, what: Completes): Promise<Words> {
  const { cluster } = position;
  if (!isKind(what)) {
    const client = cluster === undefined ? await cli.client() : cli.clientOf(cluster);
    return askAgent(client, position, what);
  }
  const { client } = cluster === undefined ? await cli.api() : await cli.apiOf(cluster);
  return askKinds(client, what, position.namespace ?? cli.namespace);
}

/** Of what `migrate` would run; of a migration that is there, all that have names. */
function stepWords({ command }: Position): Words {
  const own = Object.entries(itineraries).filter(([type]) => type.toLowerCase() === command.name());
  const chosen = own.length > 0 ? own : Object.entries(itineraries);
  const names = chosen.flatMap(([, { steps }]) => steps.map(({ name }) => name));
  return [...new Set(names)].map((name) => [name, 'step'] as const);
}

type Words = readonly (readonly [string, string])[];

/** Of kinds: what the API server has, and a word about each. */
async function askKinds(client: KubeClient, what: Kind, namespace: string): Promise<Words> {
  const { type, about } = kinds[what];
  const selectors = type.namespaced ? { namespace } : {};
  const words: (readonly [string, string])[] = [];
  for await (const object of client.list(type, selectors)) {
    const text = about(object as Sketch);
    if (text !== undefined) words.push([object.metadata.name ?? '', text]);
    if (words.length >= wordsMax) break;
  }
  return words;
}

/** What is said of objects beside their names. */
interface Sketch extends KubeObject {
  readonly spec?: {
    readonly local?: boolean;
    readonly destination?: string;
    readonly type?: string;
  };
  readonly status?: {
    readonly phase?: string;
    readonly size?: string;
    readonly health?: string;
    readonly step?: string;
  };
}

type Kind =
  | 'volume'
  | 'teleport'
  | 'plan'
  | 'migration'
  | 'replication'
  | 'peer'
  | 'policy'
  | 'pool';

const kinds: Readonly<
  Record<Kind, { type: ResourceType; about: (object: Sketch) => string | undefined }>
> = {
  volume: {
    type: resources.volumes,
    about: ({ status }) => [status?.size, status?.phase].join(' ').trim(),
  },
  teleport: { type: resources.teleports, about: ({ status }) => status?.phase ?? '' },
  plan: { type: resources.plans, about: ({ spec }) => spec?.destination ?? '' },
  migration: {
    type: resources.migrations,
    about: ({ spec, status }) => [spec?.type, status?.step].join(' ').trim(),
  },
  replication: { type: resources.replications, about: ({ status }) => status?.phase ?? '' },
  peer: {
    type: resources.clusters,
    about: ({ spec, status }) => (spec?.local === true ? undefined : (status?.health ?? '')),
  },
  policy: { type: resources.historyPolicies, about: () => 'history policy' },
  pool: { type: resources.pools, about: ({ status }) => status?.phase ?? '' },
};

function isKind(what: Completes): what is Kind {
  return Object.hasOwn(kinds, what);
}

async function askAgent(
  client: ControlClient,
  position: Position,
  what: Completes,
): Promise<Words> {
  switch (what) {
    case 'job': {
      const { items } = await client.call('job.list', {});
      return items.map(({ metadata, spec }) => [metadata.name, `${spec.type} ${spec.target}`]);
    }
    case 'snapshot': {
      const { status } = await client.call('volume.history', { volume: position.args[0] ?? '' });
      return status.snapshots.map(({ metadata }) => [metadata.name, 'snapshot']);
    }
    default:
      return [];
  }
}

const bash = `# bash completion for transship; load with: source <(transship completion bash)
_transship() {
  local current="\${COMP_WORDS[COMP_CWORD]}" directive line
  local -a lines=()
  COMPREPLY=()
  mapfile -t lines < <(transship __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [ "\${#lines[@]}" -gt 0 ] || return 0
  directive="\${lines[-1]#:}"
  unset 'lines[-1]'
  for line in "\${lines[@]}"; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done
  if [ "$directive" = 0 ] && [ "\${#COMPREPLY[@]}" -eq 0 ]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}
complete -F _transship transship
`;

const zsh = `#compdef transship
# zsh completion for transship; put it in a directory of $fpath as _transship
_transship() {
  local directive line word
  local -a lines candidates
  lines=("\${(@f)$(transship __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  directive="\${lines[-1]#:}"
  lines=("\${(@)lines[1,-2]}")
  for line in "\${lines[@]}"; do
    [[ -n "$line" ]] || continue
    word="\${line%%$'\\t'*}"
    if [[ "$line" == *$'\\t'* ]]; then
      candidates+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
    else
      candidates+=("\${word//:/\\\\:}")
    fi
  done
  (( \${#candidates} )) && _describe 'transship' candidates
  [[ "$directive" == 0 ]] && _files
  return 0
}
if [ "$funcstack[1]" = "_transship" ]; then
  _transship "$@"
else
  compdef _transship transship
fi
`;

const fish = `# fish completion for transship; save as ~/.config/fish/completions/transship.fish
function __transship_complete
    set -l words (commandline -opc) (commandline -ct)
    set -e words[1]
    set -l lines (transship __complete -- $words 2>/dev/null)
    test (count $lines) -gt 0; or return
    set -l directive $lines[-1]
    set -e lines[-1]
    printf '%s\\n' $lines
    if test "$directive" = ":0"
        __fish_complete_path (commandline -ct)
    end
end
complete -c transship -f -a '(__transship_complete)'
`;

export function completionScript(shell: string): string | undefined {
  const scripts: Readonly<Record<string, string>> = { bash, zsh, fish };
  return Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
}
