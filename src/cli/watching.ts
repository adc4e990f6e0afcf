/** `-w`: print again whenever something changes, as kubectl does. */
import type { JobObject, ApiObject } from '../api/objects.ts';
import type { EventOf, OperationName, RequestOf } from '../api/control.ts';
import { fail } from '../base/errors.ts';
import { isReason } from '../base/reasons.ts';
import type { Cli } from './context.ts';
import { columnsByKind } from './columns.ts';
import { render } from './output.ts';
import type { ControlClient } from '../api/control-client.ts';
import { jobView, RateMeter } from './progress.ts';
import { renderTable } from './table.ts';

/** Rows as they come; the header once. Ends with Ctrl-C or when the stream does. */
export async function watchObjects<N extends OperationName>(
  cli: Cli,
  client: ControlClient,
  operation: N,
  request: RequestOf<N>,
): Promise<undefined> {
  const format = cli.options.output ?? 'table';
  let headers = true;
  let printing = Promise.resolve();
  const show = async (object: ApiObject): Promise<void> => {
    if (format !== 'table' && format !== 'wide') {
      cli.out(await render(object, format, cli.nowMs()));
      return;
    }
    const columns = columnsByKind[object.kind]?.(cli.nowMs()) ?? [];
    cli.out(renderTable(columns, [object], { wide: format === 'wide', headers }));
    headers = false;
  };
  await cli.watching({ goesOn: 'nothing was changed.' }, async (signal) => {
    const onEvent = (event: EventOf<N>) => {
      printing = printing.then(() => show(event as ApiObject));
    };
    return client.stream(operation, request, { onEvent, signal });
  });
  await printing;
  return undefined;
}

/** Runs a job with a bar; throws what made it fail. Ctrl-C leaves it running. */
export async function runJob<N extends OperationName>(
  cli: Cli,
  client: ControlClient,
  operation: N,
  request: RequestOf<N>,
): Promise<JobObject> {
  const painter = cli.painter();
  const meter = new RateMeter();
  let name = '';
  const goesOn = () => `it goes on in the agent: transship job watch ${name}`;
  const watch = {
    get goesOn() {
      return goesOn();
    },
  };
  const job = (await cli.watching(watch, async (signal) => {
    const onEvent = (event: EventOf<N>) => {
      const seen = event as JobObject;
      name = seen.metadata.name;
      const rate = meter.sample(cli.ports.clock.monotonicMs(), seen.status.doneBytes);
      painter.show(jobView(seen, rate));
    };
    return client.stream(operation, request, { onEvent, signal });
  })) as JobObject;
  painter.end();
  failUnlessSucceeded(job);
  return job;
}

export function failUnlessSucceeded(job: JobObject): void {
  const { phase, reason, message } = job.status;
  if (phase === 'Succeeded') return;
  const word = reason !== undefined && isReason(reason) ? reason : 'Internal';
  fail(word, message ?? `${job.spec.type} of ${job.spec.target} did not succeed`);
}
