import type { Command } from 'commander';
import { apiVersion, type EventObject, type Finding, listOf } from '../../api/objects.ts';
import { add, option, type Registry } from '../command.ts';
import type { Cli } from '../context.ts';
import { failUnlessSucceeded, runJob, watchObjects } from '../watching.ts';
import { printReport } from './volume-data.ts';

/** metrics, events, doctor. */
export function observeCommands(registry: Registry, program: Command): void {
  observe(registry, program);
  add<Record<string, never>>(registry, program, {
    name: 'doctor',
    about: 'check this machine and the clusters on it; says what to do',
    run: async (cli) => doctor(cli),
  });
}

function observe(registry: Registry, program: Command): void {
  add<Record<string, never>>(registry, program, {
    name: 'metrics',
    about: 'the metrics of the cluster as Prometheus text',
    run: async (cli) => {
      const client = await cli.client();
      cli.out((await client.call('agent.metrics', {})).text);
    },
  });
  add<{ readonly watch?: boolean }>(registry, program, {
    name: 'events',
    about: 'what happened lately, oldest first',
    options: [option('-w, --watch', 'and what happens from now on')],
    run: async (cli, _args, options) => {
      const client = await cli.client();
      if (options.watch === true) {
        return watchObjects(cli, client, 'agent.events', { follow: true });
      }
      const events: EventObject[] = [];
      const onEvent = (event: EventObject) => events.push(event);
      await client.stream('agent.events', {}, { onEvent });
      return cli.printList(listOf<EventObject>('Event', events), 'Nothing happened yet.');
    },
  });
}

/** Jobs: imports, exports, scrubs that go on without a watcher. */
export function jobCommands(registry: Registry, job: Command): void {
  add<Record<string, never>>(registry, job, {
    name: 'list',
    about: 'jobs since the agent started',
    run: async (cli) => {
      const client = await cli.client();
      await cli.printList(await client.call('job.list', {}), 'No jobs.');
    },
  });
  add<Record<string, never>>(registry, job, {
    name: 'watch',
    about: 'progress of a job until it ends',
    args: [['<job>', 'the job', 'job']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      await cli.printDone(await runJob(cli, client, 'job.watch', { name: name! }), 'succeeded');
    },
  });
  add<Record<string, never>>(registry, job, {
    name: 'cancel',
    about: 'stop a job; an import that made its volume removes it again',
    args: [['<job>', 'the job', 'job']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      const ended = await client.call('job.cancel', { name: name! });
      if (ended.status.phase !== 'Canceled') failUnlessSucceeded(ended);
      await cli.printDone(ended, 'canceled');
    },
  });
}

/** Findings of the host, then of every agent that runs, or of the one chosen. */
async function doctor(cli: Cli): Promise<number> {
  const findings: Finding[] = [...(await cli.ports.hostFindings())];
  const running = await cli.ports.agents.running();
  const names = cli.options.cluster === undefined ? running : [cli.options.cluster];
  for (const name of names) {
    const client = cli.clientOf(name);
    const own = (await client.call('agent.doctor', {})).findings;
    findings.push(...own.map((finding) => ({ ...finding, check: `${name}: ${finding.check}` })));
  }
  if (names.length === 0) {
    findings.push({
      check: 'clusters',
      result: 'Skipped',
      message: 'none runs on this machine',
      remedy: 'transship up',
    });
  }
  const passed = findings.every((finding) => finding.result !== 'Failed');
  return printReport(cli, {
    kind: 'Report',
    apiVersion,
    metadata: { name: 'doctor' },
    passed,
    findings,
  });
}
