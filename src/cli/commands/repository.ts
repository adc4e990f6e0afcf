import type { Command } from 'commander';
import { repositories, type RepositorySpec } from '../../api/kinds/repository.ts';
import {
  apiVersion,
  type Finding,
  type JobObject,
  listOf,
  type SavedVersionObject,
} from '../../api/objects.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { formatBytes } from '../../base/units.ts';
import { asking, needObject, printChanged, printListed } from '../api/printing.ts';
import { add, given, option, type RateOption, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { type MomentOptions, momentOf } from '../moment.ts';
import { jobView, RateMeter } from '../progress.ts';
import { runJob } from '../watching.ts';
import { printReport } from './volume-data.ts';

const certificateBytesMax = 65_536;

/** add, list, check, save, versions, open, verify, forget, prune. */
export function repositoryCommands(registry: Registry, repository: Command): void {
  addCommand(registry, repository);
  lookCommands(registry, repository);
  saveCommand(registry, repository);
  openCommand(registry, repository);
  sweepCommands(registry, repository);
}

interface AddOptions {
  readonly directory?: string;
  readonly endpoint?: string;
  readonly bucket?: string;
  readonly region?: string;
  readonly prefix?: string;
  readonly credentials?: string;
  readonly caBundle?: string;
  readonly pathStyle?: boolean;
  readonly password?: string;
}

const repositoryArgument = ['<repository>', 'its name'] as const;

function addCommand(registry: Registry, repository: Command): void {
  add<AddOptions>(registry, repository, {
    name: 'add',
    about: 'a place that volumes pass through where there is no direct way, or are kept in',
    args: [repositoryArgument],
    options: [
      option('--directory <path>', 'a directory that every agent sees at this path'),
      option('--endpoint <url>', 'an object store that speaks S3: https://s3.example.org'),
      option('--bucket <name>', 'the bucket there'),
      option('--region <name>', 'its region (default: us-east-1)'),
      option('--prefix <text>', 'what the names of all objects begin with'),
      option('--credentials <namespace/secret>', 'with accessKeyId and secretAccessKey'),
      option('--ca-bundle <path>', 'certificates that the store is verified with', {
        completes: 'file',
      }),
      option('--path-style', 'the bucket is part of the path, not of the host name'),
      option('--password <namespace/secret>', 'with password (default: one is made)'),
    ],
    examples: [
      ['transship repository add between --directory /srv/between', 'on this machine'],
      [
        'transship repository add between --endpoint https://s3.example.org --bucket moves ' +
          '--credentials transship-system/between',
        'a bucket',
      ],
    ],
    run: runAdd,
  });
}

async function runAdd(cli: Cli, [name]: readonly string[], options: AddOptions): Promise<void> {
  const spec = await specOf(cli, options);
  const { client } = await cli.api();
  const metadata = { name: checkName(name!, 'repository') };
  const object = await client.create(repositories, { metadata, spec });
  await printChanged(cli, client, { type: repositories, object }, 'created');
}

async function specOf(cli: Cli, options: AddOptions): Promise<RepositorySpec> {
  const { directory, endpoint, bucket, credentials, caBundle, password } = options;
  const own = password === undefined ? {} : { passwordSecretRef: secretOf(password) };
  if (directory !== undefined && endpoint === undefined) {
    return { directory: { path: directory }, ...own };
  }
  if (directory !== undefined || endpoint === undefined) {
    return fail('BadArgument', 'say where it is: --directory, or --endpoint and --bucket');
  }
  if (bucket === undefined || credentials === undefined) {
    return fail('BadArgument', 'an object store needs --bucket and --credentials, too');
  }
  const trust =
    caBundle === undefined ? undefined : await cli.ports.readInput(caBundle, certificateBytesMax);
  return {
    s3: {
      endpoint,
      bucket,
      credentialsSecretRef: secretOf(credentials),
      ...given('region', options.region),
      ...given('prefix', options.prefix),
      ...given('caBundle', trust),
      ...given('forcePathStyle', options.pathStyle),
    },
    ...own,
  };
}

function secretOf(text: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = '', rest] = text.split('/');
  if (namespace === '' || name === '' || rest !== undefined) {
    fail('BadArgument', `a Secret is NAMESPACE/NAME, not '${text}'`);
  }
  return { namespace, name };
}

function lookCommands(registry: Registry, repository: Command): void {
  add<{ readonly watch?: boolean }>(registry, repository, {
    name: 'list',
    about: 'repositories of the cluster',
    options: [shared.watch()],
    run: async (cli, _args, { watch }) => {
      const { client } = await cli.api();
      const listing = { whenEmpty: 'No repositories.', watch };
      await printListed(cli, client, asking(repositories), listing);
    },
  });
  add<Record<string, never>>(registry, repository, {
    name: 'check',
    about: 'whether it can be written to and read back, and whether the agents know it',
    args: [repositoryArgument],
    run: async (cli, [name]) => {
      const { client } = await cli.api();
      const object = await needObject(client, repositories, { namespace: '', name: name! });
      const findings = ['Ready', 'Known'].map((type): Finding => {
        const found = object.status?.conditions?.find((one) => one.type === type);
        const result = found?.status === 'True' ? 'Passed' : 'Failed';
        return { check: type, result, message: found?.message ?? 'it was not tried yet' };
      });
      const passed = findings.every(({ result }) => result === 'Passed');
      const metadata = { name: name! };
      return printReport(cli, { kind: 'Report', apiVersion, metadata, passed, findings });
    },
  });
  add<{ readonly volume?: string }>(registry, repository, {
    name: 'versions',
    about: 'versions of volumes that are saved there',
    args: [repositoryArgument],
    options: [option('--volume <name>', 'of this volume alone')],
    run: async (cli, [name], { volume }) => {
      const client = await cli.client();
      const request = { name: name!, ...given('volume', volume) };
      const { items } = await client.call('repository.versions', request);
      const list = listOf<SavedVersionObject>('SavedVersion', items);
      await cli.printList(list, 'Nothing is saved there.');
    },
  });
}

interface SaveOptions extends MomentOptions, RateOption {
  readonly in: string;
  readonly version?: string;
}

function saveCommand(registry: Registry, repository: Command): void {
  add<SaveOptions>(registry, repository, {
    name: 'save',
    about: 'save a volume: what the repository has already is not sent again',
    args: [['<volume>', 'the volume', 'volume']],
    options: [
      option('--in <repository>', 'where', { mandatory: true }),
      option('--version <name>', 'its name there (default: the time)'),
      shared.at(),
      shared.snapshot(),
      shared.rate(),
    ],
    details: 'A save that was cut off goes on from what is there when it is asked for again.',
    examples: [['transship repository save db --in between', 'as it is now']],
    run: async (cli, [volume], options) => {
      const client = await cli.client();
      const job = await runJob(cli, client, 'repository.save', {
        name: options.in,
        volume: volume!,
        ...given('version', options.version),
        ...momentOf(cli, options),
        ...given('bytesPerSecond', options.rate?.bytesPerSecond),
      });
      await printJob(cli, job, ({ version, addedBytes }) => {
        const added = formatBytes(Number(addedBytes ?? 0));
        return `${volume}/${version} saved, ${added} added`;
      });
    },
  });
}

interface OpenOptions extends RateOption {
  readonly from: string;
  readonly version?: string;
  readonly name?: string;
  readonly thin?: boolean;
}

function openCommand(registry: Registry, repository: Command): void {
  add<OpenOptions>(registry, repository, {
    name: 'open',
    about: 'make a volume of a saved version: usable at once, its data follows',
    args: [['<volume>', 'the volume that was saved']],
    options: [
      option('--from <repository>', 'where it is saved', { mandatory: true }),
      option('--version <name>', 'the version (default: the newest)'),
      option('--name <name>', 'of the new volume (default: the same)'),
      option('--thin', 'fetch only what is touched, until `teleport fill`'),
      shared.rate(),
    ],
    details: 'It is a teleport of which the repository is the source: `teleport watch` shows it.',
    examples: [['transship repository open db --from between --name db-again', 'the newest']],
    run: async (cli, [volume], options) => {
      const client = await cli.client();
      const made = await client.call('teleport.start', {
        cluster: `repository:${options.from}`,
        volume: volume!,
        ...given('snapshot', options.version),
        ...given('name', options.name),
        ...given('thin', options.thin),
        ...given('bytesPerSecond', options.rate?.bytesPerSecond),
      });
      if (cli.options.output !== undefined) await cli.print(made);
      else cli.out(`volume/${made.spec.destination.volume} is Accessible\n`);
    },
  });
}

function sweepCommands(registry: Registry, repository: Command): void {
  add<{ readonly deep?: boolean }>(registry, repository, {
    name: 'verify',
    about: 'check that every saved version and every backup can be opened',
    args: [repositoryArgument],
    options: [option('--deep', 'also read and hash everything that is stored')],
    run: async (cli, [name], { deep }) => {
      const client = await cli.client();
      const painter = cli.painter();
      const meter = new RateMeter();
      const answer = await cli.watching({ goesOn: 'nothing was changed.' }, async (signal) =>
        client.stream(
          'repository.verify',
          { name: name!, ...given('deep', deep) },
          {
            signal,
            onEvent: (job) => {
              const rate = meter.sample(cli.ports.clock.monotonicMs(), job.status.doneBytes);
              painter.show(jobView(job, rate));
            },
          },
        ),
      );
      painter.end();
      return printReport(cli, answer);
    },
  });
  add<Record<string, never>>(registry, repository, {
    name: 'forget',
    about: 'forget a saved version; `prune` gives its space back',
    args: [repositoryArgument, ['<volume>', 'its volume'], ['<version>', 'its name']],
    run: async (cli, [name, volume, version]) => {
      await cli.confirm([`Version ${version} of volume ${volume} cannot be opened any more.`]);
      const client = await cli.client();
      const request = { name: name!, volume: volume!, version: version! };
      const gone = await client.call('repository.forget', request);
      if (cli.options.output !== undefined) await cli.print(gone);
      else cli.out(`${gone.metadata.name} forgotten\n`);
    },
  });
  add<Record<string, never>>(registry, repository, {
    name: 'prune',
    about: 'give back what no saved version needs any more',
    args: [repositoryArgument],
    details: 'Refused while somebody saves there. What is being opened elsewhere is kept.',
    run: async (cli, [name]) => {
      const client = await cli.client();
      const job = await runJob(cli, client, 'repository.prune', { name: name! });
      await printJob(cli, job, ({ freedBytes, versions }) => {
        const freed = formatBytes(Math.max(0, Number(freedBytes ?? 0)));
        return `${freed} given back; ${versions} versions are kept`;
      });
    },
  });
}

type Result = NonNullable<JobObject['status']['result']>;

async function printJob(
  cli: Cli,
  job: JobObject,
  textOf: (result: Result) => string,
): Promise<void> {
  if (cli.options.output === undefined) cli.out(`${textOf(job.status.result ?? {})}\n`);
  else await cli.print(job);
}
