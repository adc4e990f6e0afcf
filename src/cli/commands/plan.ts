import type { Command } from 'commander';
import type { Plan, PlanSpec } from '../../api/kinds/plan.ts';
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { exitCodes } from '../../base/reasons.ts';
import { checkKnown, clustersOf } from '../api/departure.ts';
import { checksText, planText } from '../api/plan-text.ts';
import { changePlan, findPlan, verdictOf, whenChecked } from '../api/plans.ts';
import { asking, printChanged, printListed } from '../api/printing.ts';
import type { Hub } from '../api/teleports.ts';
import { conditionOf } from '../api/waiting.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { clusterFactsOf } from '../wizard/facts.ts';
import { hubChapter, nameChapter, planChapters } from '../wizard/plan-chapters.ts';
import { type Questions, runWizard } from '../wizard/wizard.ts';
import { endPlan } from './plan-end.ts';
import {
  type CreateOptions,
  createOptions,
  type EditOptions,
  editOptions,
  flagsOf,
} from './plan-options.ts';
import { completeSpec, missingIn, type PlanDraft, withFlags } from './plan-spec.ts';
import { parseNamespace } from './plan-words.ts';
import { readPlan } from './plan-file.ts';

const { plans } = resources;

/** create, list, show, check, edit, close, delete. */
export function planCommands(registry: Registry, plan: Command): void {
  create(registry, plan);
  look(registry, plan);
  check(registry, plan);
  edit(registry, plan);
  endPlan(registry, plan);
}

function create(registry: Registry, plan: Command): void {
  add<CreateOptions>(registry, plan, {
    name: 'create',
    about: 'say which namespaces move from which cluster to which, and how; nothing moves yet',
    args: [
      ['[name]', 'name of the plan'],
      ['[namespaces...]', 'what moves, as NAMESPACE, or NAMESPACE:NEW to rename it'],
    ],
    options: createOptions(),
    details:
      'What is not said is found out or has a default. On a terminal, what is still needed is\n' +
      'asked step by step: ? explains a question, back returns to the one before, Ctrl-C leaves\n' +
      'nothing behind. Checks run at once; `plan check` waits for them. Exit 3: they refuse.',
    examples: [
      ['transship plan create', 'asks for everything'],
      ['transship plan create shop shop --from east --to west', 'one namespace, all by default'],
      ['transship plan create all shop crm:crm-eu --from east --to west', 'two, one renamed'],
      [
        'transship plan create fast shop --from east --to east --storage-class old=new',
        'the same cluster: data moves to another storage class',
      ],
      [
        'transship plan create shop shop --from east --to west ' +
          '--volume shop/db=teleport,verify --volume shop/cache=skip',
        'choices for single volumes',
      ],
      [
        'transship plan create shop shop --from east --to west --dry-run > plan.yaml',
        'the object as YAML, for `plan create --file` or kubectl apply',
      ],
    ],
    run: async (cli, [name, ...namespaces], options) =>
      runCreate(cli, { name, namespaces }, options),
  });
}

interface Words {
  readonly name: string | undefined;
  readonly namespaces: readonly string[];
}

async function runCreate(cli: Cli, words: Words, options: CreateOptions): Promise<number> {
  const { file } = options;
  const base = file === undefined ? undefined : await readPlan(cli, file);
  const draft = withFlags(base?.spec ?? {}, words.namespaces.map(parseNamespace), flagsOf(options));
  const name = words.name ?? base?.metadata.name;
  const namespace = cli.options.namespace ?? base?.metadata.namespace ?? 'default';
  const { terminal } = cli.ports;
  const isComplete = name !== undefined && missingIn(draft).length === 0;
  if (!isComplete && terminal.inIsTerminal && terminal.errIsTerminal) {
    return runQuestions(cli, { name, namespace, draft }, options);
  }
  if (name === undefined) fail('BadArgument', 'say how the plan is named: plan create NAME');
  const spec = completeSpec(draft);
  const metadata = { name: checkName(name, 'plan'), namespace };
  if (options.dryRun === true) return printDraft(cli, metadata, spec);
  const { client } = await hubOf(cli, spec, options);
  await checkClusters(client, spec);
  const made = await client.create(plans, { metadata, spec });
  if (options.wait === true) return afterChecks(cli, { client, key: metadata }, made);
  await printChanged(cli, client, { type: plans, object: made }, 'created');
  cli.note(`See what its checks say: transship plan check ${name} --cluster ${client.cluster}`);
  return exitCodes.done;
}

/** Programs read it; `-o json` for those who want that. */
async function printDraft(
  cli: Cli,
  metadata: { readonly name: string; readonly namespace: string },
  spec: PlanSpec,
): Promise<number> {
  await cli.printAny({ apiVersion: 'transship.dev/v1alpha1', kind: 'Plan', metadata, spec });
  return exitCodes.done;
}

/** Whose API gets the plan: the one that was named, else the destination's. */
async function hubOf(cli: Cli, draft: PlanDraft, { hub }: CreateOptions): ReturnType<Cli['api']> {
  if (hub !== undefined) return cli.apiOf(hub);
  const isNamed = cli.namesContext || cli.options.cluster !== undefined;
  return isNamed || draft.destination === undefined ? cli.api() : cli.apiOf(draft.destination);
}

async function checkClusters(client: Hub['client'], spec: PlanSpec): Promise<void> {
  const known = await clustersOf(client);
  checkKnown(client.cluster, known, spec.source);
  checkKnown(client.cluster, known, spec.destination);
}

interface Begun {
  readonly name: string | undefined;
  readonly namespace: string;
  readonly draft: PlanDraft;
}

/** The wizard: nothing is written before its last answer. */
async function runQuestions(cli: Cli, begun: Begun, options: CreateOptions): Promise<number> {
  const questions = {
    ask: async (prompt: string) => cli.ports.terminal.ask(prompt),
    say: (text: string) => cli.ports.terminal.err(text),
  };
  const hub = options.hub ?? (await askHub(cli, questions, begun.draft));
  const { client } = await hubOf(cli, begun.draft, { ...options, ...given('hub', hub) });
  const facts = await clusterFactsOf(cli, client, begun.namespace);
  const first = { ...begun, isAgreed: false };
  let answers = await runWizard(questions, planChapters(facts), first);
  for (;;) {
    const { namespace, draft, isAgreed } = answers;
    const name = answers.name ?? fail('Internal', 'the wizard ended without a name');
    if (!isAgreed) {
      cli.note('Nothing was made.');
      return exitCodes.interrupted;
    }
    const spec = completeSpec(draft);
    const metadata = { name, namespace };
    if (options.dryRun === true) return printDraft(cli, metadata, spec);
    try {
      const made = await client.create(plans, { metadata, spec });
      return await afterChecks(cli, { client, key: metadata }, made);
    } catch (error) {
      if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
      // Somebody was quicker: only the name is asked again, all other answers stay.
      cli.note(`Somebody made a plan ${name} meanwhile; choose another name.`);
      const rest = nameChapter({ ...facts, plans: [...facts.plans, name] });
      answers = await runWizard(questions, [rest], { ...answers, name: undefined });
    }
  }
}

/** Several clusters run here and nothing says whose API is meant. Undefined: that is known. */
async function askHub(
  cli: Cli,
  questions: Questions,
  draft: PlanDraft,
): Promise<string | undefined> {
  const named = cli.options.cluster ?? cli.ports.environment['TRANSSHIP_CLUSTER'] ?? '';
  if (named !== '' || cli.namesContext || draft.destination !== undefined) return undefined;
  const known = cli.ports.agents.known();
  if (known.length < 2) return undefined;
  const chapter = hubChapter(known, draft.source);
  return (await runWizard(questions, [chapter], { hub: undefined })).hub;
}

/** Waits for the checks, prints them, and turns them into an exit code. */
async function afterChecks(cli: Cli, hub: Hub, made: Plan, timeoutMs?: number): Promise<number> {
  const done = await whenChecked(cli, hub, made, timeoutMs);
  const isReady = verdictOf(done) === 'Ready';
  if (cli.options.output !== undefined) {
    await printChanged(cli, hub.client, { type: plans, object: done }, '');
  } else {
    cli.out(checksText(done.status?.checks ?? []));
    cli.out(`plan/${hub.key.name} ${isReady ? 'ready' : 'refused'}\n`);
  }
  const ready = conditionOf(done, 'Ready');
  if (!isReady) cli.note(`Refused: ${ready?.reason}: ${ready?.message}`);
  return isReady ? exitCodes.done : exitCodes.refused;
}

function look(registry: Registry, plan: Command): void {
  add<{ readonly allNamespaces?: boolean; readonly watch?: boolean }>(registry, plan, {
    name: 'list',
    about: 'plans that this cluster keeps',
    options: [option('-A, --all-namespaces', 'of all namespaces'), shared.watch()],
    run: async (cli, _args, { allNamespaces, watch }) => {
      const { client } = await cli.api();
      const what = allNamespaces === true ? {} : { namespace: cli.namespace };
      await printListed(cli, client, asking(plans, what), { whenEmpty: 'No plans.', watch });
    },
  });
  add<{ readonly manifests?: boolean }>(registry, plan, {
    name: 'show',
    about: 'one plan: volumes and methods, checks with remedies, totals, what a cutover takes',
    args: [['<plan>', 'the plan', 'plan']],
    options: [
      option('--manifests', 'the objects exactly as they will be made, as YAML; notes on stderr'),
    ],
    examples: [
      ['transship plan show shop', 'what was found, and what it will take'],
      ['transship plan show shop --manifests > shop.yaml', 'every object, before it is made'],
    ],
    run: async (cli, [name], { manifests }) => {
      const hub = await hubFor(cli, name!);
      const object = await findPlan(hub);
      if (manifests === true) {
        // Loaded when asked for: transformations are no part of a fast start.
        const { printManifests } = await import('./plan-manifests.ts');
        return printManifests(cli, hub.client, object);
      }
      if (cli.options.output === undefined) cli.out(planText(object, cli.nowMs()));
      else await printChanged(cli, hub.client, { type: plans, object }, '');
      return exitCodes.done;
    },
  });
}

async function hubFor(cli: Cli, name: string): Promise<Hub> {
  const { client } = await cli.api();
  return { client, key: { namespace: cli.namespace, name } };
}

function check(registry: Registry, plan: Command): void {
  add<{ readonly timeout?: number }>(registry, plan, {
    name: 'check',
    about: 'wait for the checks of a plan as it is now; exit 0 when it may run, 3 when refused',
    args: [['<plan>', 'the plan', 'plan']],
    options: [shared.timeout()],
    examples: [['transship plan check shop && transship migrate cutover shop', 'only if it may']],
    run: async (cli, [name], { timeout }) => {
      const hub = await hubFor(cli, name!);
      return afterChecks(cli, hub, await findPlan(hub), timeout);
    },
  });
}

function edit(registry: Registry, plan: Command): void {
  add<EditOptions>(registry, plan, {
    name: 'edit',
    about: 'change what flags say, or all of it in an editor; what others change meanwhile stays',
    args: [
      ['<plan>', 'the plan', 'plan'],
      ['[namespaces...]', 'more of them, or other new names, as NAMESPACE or NAMESPACE:NEW'],
    ],
    options: editOptions(),
    details:
      'Without flags, on a terminal, the editor of VISUAL or EDITOR opens the plan as YAML.\n' +
      'What was written is never lost: after a mistake or a conflict it is shown again.',
    examples: [
      ['transship plan edit shop', 'in your editor'],
      ['transship plan edit shop --volume shop/db=filesystem', 'another method for one volume'],
      ['transship plan edit shop --bandwidth 50MiB/s', 'also while a migration of it runs'],
      ['transship plan edit shop crm --remove-namespace web', 'one more, one less'],
    ],
    run: async (cli, [name, ...namespaces], options) => {
      const added = namespaces.map(parseNamespace);
      const isEmpty = added.length === 0 && Object.keys(options).length === 0;
      const { terminal } = cli.ports;
      if (isEmpty && !(terminal.inIsTerminal && terminal.outIsTerminal)) {
        fail(
          'BadArgument',
          'nothing to change, and no terminal for an editor; see transship plan edit --help',
        );
      }
      const hub = await hubFor(cli, name!);
      if (isEmpty) {
        // Loaded when asked for: it reads YAML.
        const { editPlan } = await import('./plan-editor.ts');
        return editPlan(cli, hub);
      }
      const before = await findPlan(hub);
      const object = await changePlan(hub, (spec) => {
        return completeSpec(withFlags(without(spec, options), added, flagsOf(options)));
      });
      const isSame = before.metadata.resourceVersion === object.metadata.resourceVersion;
      const verb = isSame ? 'unchanged' : 'changed';
      await printChanged(cli, hub.client, { type: plans, object }, verb);
      return undefined;
    },
  });
}

/** A namespace that goes takes the choices for its volumes with it. */
function without(
  spec: PlanSpec,
  { removeNamespace = [], removeHook = [] }: EditOptions,
): PlanDraft {
  for (const gone of removeNamespace) {
    if (!spec.namespaces.some(({ name }) => name === gone)) {
      fail('NotFound', `the plan has no namespace ${gone}`);
    }
  }
  const { volumes, hooks, ...rest } = spec;
  return {
    ...rest,
    namespaces: spec.namespaces.filter(({ name }) => !removeNamespace.includes(name)),
    ...(volumes && { volumes: volumes.filter((one) => !removeNamespace.includes(one.namespace)) }),
    ...(hooks && { hooks: hooks.filter(({ hook }) => !removeHook.includes(hook)) }),
  };
}
