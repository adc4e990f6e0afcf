/** get, apply, delete: any kind of any cluster, as kubectl does it. */
import type { Command } from 'commander';
import { fail } from '../../base/errors.ts';
import { printable } from '../../base/names.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { KubeObject, ResourceType } from '../../kube/objects.ts';
import { resourceText } from '../../kube/paths.ts';
import { sleep } from '../../base/sleep.ts';
import { findResource, resourceOfManifest } from '../api/resources.ts';
import { printListed } from '../api/printing.ts';
import type { Asking } from '../api/tables.ts';
import { add, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';

interface GetOptions {
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly fieldSelector?: string;
  readonly watch?: boolean;
}

interface FileOptions {
  readonly filename?: string;
}

interface DeleteOptions extends FileOptions {
  readonly wait?: boolean;
  readonly timeout?: number;
}

const manifestBytesMax = 16 * 1024 * 1024;
const pollMs = 200;
const deleteTimeoutMs = 300_000;

export function objectCommands(registry: Registry, program: Command): void {
  get(registry, program);
  apply(registry, program);
  remove(registry, program);
}

function get(registry: Registry, program: Command): void {
  add<GetOptions>(registry, program, {
    name: 'get',
    about: 'objects of any kind: teleports, volumes, pods, ...',
    args: [
      ['<kind>', 'a kind, its plural or short name; KIND/NAME for one object'],
      ['[name]', 'one object'],
    ],
    options: [
      option('-A, --all-namespaces', 'of all namespaces'),
      option('-l, --selector <labels>', 'only with these labels: app=db,tier!=web'),
      option('--field-selector <fields>', 'only with these fields: status.phase=Running'),
      shared.watch(),
    ],
    examples: [
      ['transship get teleports -w', 'teleports, and whenever one changes'],
      ['transship get volumes -o wide --cluster west', 'volumes of the cluster west'],
    ],
    run: async (cli, [kind, name], options) => {
      const { client } = await cli.api();
      const asking = await askingOf(cli, client, { kind: kind!, name, options });
      const whenEmpty = `No ${asking.type.plural} found.`;
      await printListed(cli, client, asking, { whenEmpty, watch: options.watch });
    },
  });
}

async function askingOf(
  cli: Cli,
  client: KubeClient,
  words: {
    readonly kind: string;
    readonly name: string | undefined;
    readonly options: GetOptions;
  },
): Promise<Asking> {
  const [kind = '', after] = words.kind.split('/');
  const type = await findResource(client, kind);
  const all = words.options.allNamespaces === true;
  return {
    type,
    namespace: type.namespaced && !all ? cli.namespace : undefined,
    name: after ?? words.name,
    labels: words.options.selector,
    fields: words.options.fieldSelector,
  };
}

function apply(registry: Registry, program: Command): void {
  add<FileOptions>(registry, program, {
    name: 'apply',
    about: 'make objects as a file says, or change them to be so (server-side apply)',
    options: [
      option('-f, --filename <path>', 'YAML or JSON, with one or more objects; - for stdin', {
        completes: 'file',
        mandatory: true,
      }),
    ],
    examples: [['transship apply -f teleport.yaml', 'then: transship get teleports -w']],
    run: async (cli, _args, options) => {
      const { client } = await cli.api();
      const manifests = await readManifests(cli, options.filename!);
      const placed = [];
      // All are understood before the first is sent: a file with a mistake changes nothing.
      for (const manifest of manifests) placed.push(await place(cli, client, manifest));
      for (const { type, object } of placed) {
        const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name! };
        const before = await client.get(type, key);
        const after = await client.apply(type, object);
        await said(cli, type, after, verbOf(before, after));
      }
    },
  });
}

function verbOf(before: KubeObject | undefined, after: KubeObject): string {
  if (before?.metadata.uid !== after.metadata.uid) return 'created';
  const same = before?.metadata.resourceVersion === after.metadata.resourceVersion;
  return same ? 'unchanged' : 'configured';
}

async function said(cli: Cli, type: ResourceType, object: KubeObject, verb: string): Promise<void> {
  if (cli.options.output !== undefined) return cli.printAny(object);
  cli.out(`${singular(type)}/${object.metadata.name} ${verb}\n`);
  return undefined;
}

function singular(type: ResourceType): string {
  const kind = type.kind.toLowerCase();
  return type.group === '' ? kind : `${kind}.${type.group}`;
}

async function place(
  cli: Cli,
  client: KubeClient,
  manifest: KubeObject,
): Promise<{ readonly type: ResourceType; readonly object: KubeObject }> {
  const type = await resourceOfManifest(client, manifest);
  if (!type.namespaced) return { type, object: manifest };
  const namespace = manifest.metadata.namespace ?? cli.namespace;
  const { namespace: asked } = cli.options;
  if (asked !== undefined && asked !== namespace) {
    const which = `${manifest.kind} ${manifest.metadata.name}`;
    fail('BadArgument', `${which} is of the namespace ${namespace}, -n says ${asked}`);
  }
  return { type, object: { ...manifest, metadata: { ...manifest.metadata, namespace } } };
}

/** `BadArgument` names the file, and where in it the mistake is. */
async function readManifests(cli: Cli, path: string): Promise<readonly KubeObject[]> {
  const text = await cli.ports.readInput(path, manifestBytesMax);
  const yaml = await import('yaml');
  const found: KubeObject[] = [];
  for (const document of yaml.parseAllDocuments(text)) {
    const [problem] = document.errors ?? [];
    if (problem !== undefined) fail('BadArgument', `${path}: ${problem.message}`);
    const value: unknown = document.toJS();
    if (value !== null && value !== undefined) found.push(...manifestsIn(value, path));
  }
  if (found.length === 0) fail('BadArgument', `${path} has no objects`);
  return found;
}

function manifestsIn(value: unknown, path: string): readonly KubeObject[] {
  const { apiVersion, kind, metadata, items } = value as Partial<Record<string, unknown>>;
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
    fail('BadArgument', `${path}: an object needs apiVersion and kind`);
  }
  if (kind.endsWith('List') && Array.isArray(items)) {
    return items.flatMap((item: unknown) => manifestsIn(item, path));
  }
  const name = (metadata as Partial<Record<string, unknown>> | undefined)?.['name'];
  if (typeof name !== 'string' || name === '') {
    fail('BadArgument', `${path}: ${printable(kind)} needs metadata.name`);
  }
  return [value as KubeObject];
}

function remove(registry: Registry, program: Command): void {
  add<DeleteOptions>(registry, program, {
    name: 'delete',
    about: 'delete objects of any kind; shows what goes, and asks',
    args: [
      ['[kind]', 'a kind, its plural or short name; KIND/NAME for one object'],
      ['[name...]', 'the objects'],
    ],
    options: [
      option('-f, --filename <path>', 'the objects of a file; - for stdin', { completes: 'file' }),
      option('--no-wait', 'do not wait until they are gone'),
      shared.timeout(),
    ],
    examples: [
      ['transship delete teleport db', 'before it is Accessible, this cancels it'],
      ['transship delete pvc db --cluster west --yes', 'a claim, and so its volume'],
    ],
    run: async (cli, [kind, ...names], options) => {
      const { client } = await cli.api();
      const targets =
        options.filename === undefined
          ? await namedTargets(cli, client, kind, names)
          : await fileTargets(cli, client, options.filename);
      const lines = targets.map(({ type, key }) => `  ${singular(type)}/${key.name}`);
      await cli.confirm([`This deletes at ${client.cluster}:`, ...lines]);
      for (const target of targets) await removeOne(cli, client, target, options);
    },
  });
}

interface Target {
  readonly type: ResourceType;
  readonly key: { readonly namespace: string; readonly name: string };
}

async function namedTargets(
  cli: Cli,
  client: KubeClient,
  kind: string | undefined,
  names: readonly string[],
): Promise<readonly Target[]> {
  if (kind === undefined) fail('BadArgument', 'say what: KIND NAME, or -f FILE');
  const [word = '', after] = kind.split('/');
  const type = await findResource(client, word);
  const all = [...(after === undefined ? [] : [after]), ...names];
  if (all.length === 0) fail('BadArgument', `say which ${type.plural} by name`);
  const namespace = type.namespaced ? cli.namespace : '';
  const targets = all.map((name) => ({ type, key: { namespace, name } }));
  for (const { key } of targets) {
    if ((await client.get(type, key)) === undefined) {
      fail('NotFound', `cluster ${client.cluster} has no ${type.kind} ${printable(key.name)}`);
    }
  }
  return targets;
}

async function fileTargets(cli: Cli, client: KubeClient, path: string): Promise<readonly Target[]> {
  const targets: Target[] = [];
  for (const manifest of await readManifests(cli, path)) {
    const { type, object } = await place(cli, client, manifest);
    const { namespace = '', name = '' } = object.metadata;
    targets.push({ type, key: { namespace, name } });
  }
  return targets;
}

async function removeOne(
  cli: Cli,
  client: KubeClient,
  { type, key }: Target,
  options: DeleteOptions,
): Promise<void> {
  const there = await client.delete(type, key, { propagation: 'Background' });
  if (!there) return cli.note(`${singular(type)}/${key.name} was not there`);
  if (options.wait !== false) {
    const timeoutMs = options.timeout ?? deleteTimeoutMs;
    const goesOn = `it goes on; see: transship get ${resourceText(type)} ${key.name} -o yaml`;
    await cli.watching({ goesOn, timeoutMs }, async (signal) => {
      while ((await client.get(type, key)) !== undefined) {
        await sleep(cli.ports.clock, pollMs, signal);
        signal.throwIfAborted();
      }
    });
  }
  cli.out(`${singular(type)}/${key.name} deleted\n`);
  return undefined;
}
