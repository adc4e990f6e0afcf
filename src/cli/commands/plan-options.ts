/** The options of `plan create` and `plan edit`; new ones each time, as commander keeps state. */
import type { Option } from 'commander';
import { checkName } from '../../base/names.ts';
import { parseRate } from '../../base/units.ts';
import { option } from '../command.ts';
import {
  hookPhases,
  parseExisting,
  parseHook,
  parsePair,
  parseVolume,
  type PlanFlags,
  several,
  volumeWords,
} from './plan-words.ts';

/** As commander names them: `--storage-class` is `storageClass`. */
interface WrittenFlags extends Omit<PlanFlags, 'mapClass' | 'mapImage' | 'rate'> {
  readonly storageClass?: PlanFlags['mapClass'];
  readonly image?: PlanFlags['mapImage'];
  readonly bandwidth?: PlanFlags['rate'];
}

export interface CreateOptions extends WrittenFlags {
  readonly hub?: string;
  readonly file?: string;
  readonly dryRun?: boolean;
  readonly wait?: boolean;
}

export interface EditOptions extends WrittenFlags {
  readonly removeNamespace?: readonly string[];
  readonly removeHook?: readonly string[];
}

/** The same under the names that fields of plans have. */
export function flagsOf(written: WrittenFlags): PlanFlags {
  const { storageClass, image, bandwidth, ...rest } = written;
  return {
    ...rest,
    ...(storageClass === undefined ? {} : { mapClass: storageClass }),
    ...(image === undefined ? {} : { mapImage: image }),
    ...(bandwidth === undefined ? {} : { rate: bandwidth }),
  };
}

const word = (what: string) => (text: string) => checkName(text, what);

const many = (flags: string, about: string, parse: (text: string) => unknown): Option =>
  option(`${flags}`, `${about} (may be repeated)`).argParser(several(parse));

const choice = (flags: string, about: string, choices: readonly string[]): Option =>
  option(flags, about, { choices });

/** What both commands take. */
const changes = (): readonly Option[] => [
  choice('--type <type>', 'what moves; found out when not given', [
    'Namespace',
    'State',
    'StorageConversion',
  ]),
  many(
    '--volume <ns/claim=method,...>',
    `${volumeWords.join('|')}[,class=,name=,size=,mode=,verify]`,
    parseVolume,
  ),
  many(
    '--storage-class <old=new>',
    'a class of the source and the one to use',
    parsePair('--storage-class'),
  ),
  many('--include <kind>', 'only these kinds: deployments.apps', String),
  many('--exclude <kind>', 'none of these kinds', String),
  option('--selector <labels>', 'only objects with these labels: app=shop'),
  many(
    '--image <from=to>',
    'images that are elsewhere there: old.io/=new.io/',
    parsePair('--image'),
  ),
  choice('--images <way>', 'how images get there', ['Auto', 'Direct', 'Repository', 'Skip']),
  many('--hook <name@phase>', `run a hook at ${hookPhases.join('|')}`, parseHook),
  many(
    '--existing <kind=policy>',
    'where an object exists there: fail, keep or update',
    parseExisting,
  ),
  option('--quiesce', 'stop workloads before the last copy (default)'),
  option('--no-quiesce', 'leave them running: the copy is of a moment'),
  option('--live-migrate', 'move disks of running virtual machines'),
  option('--bandwidth <rate>', 'at most so much for all volumes (100MiB/s, unlimited)', {
    parse: (text) => ({ bytesPerSecond: parseRate(text) }),
  }),
  option('--repository <name>', 'the Repository where there is no direct way', {
    parse: word('repository'),
  }),
  choice('--on-failure <what>', 'of a cutover that fails', ['RollBack', 'Pause']),
];

const cluster = (flags: string, about: string): Option =>
  option(flags, about, { completes: 'cluster', parse: word('cluster') });

export const createOptions = (): readonly Option[] => [
  cluster('--from <cluster>', 'where they are'),
  cluster('--to <cluster>', 'where they go; the same cluster for another storage class'),
  cluster('--hub <cluster>', 'whose API gets the Plan (default: that of --cluster, else --to)'),
  ...changes(),
  option('-f, --file <path>', 'begin with the Plan of a YAML file; - for stdin', {
    completes: 'file',
  }),
  option('--dry-run', 'print the object (YAML, or -o json) and make nothing'),
  option('--wait', 'wait for the checks; exit 3 when they refuse'),
];

export const editOptions = (): readonly Option[] => [
  ...changes(),
  many('--remove-namespace <name>', 'no longer move it', word('namespace')),
  many('--remove-hook <name>', 'no longer run it', word('hook')),
];
