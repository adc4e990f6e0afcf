/** Imports that this controller runs or found running: an agent's job, which may take hours. */
import type { JobObject } from '../../api/objects.ts';
import type { RequestOf } from '../../api/control.ts';
import { asTransshipError, type TransshipError } from '../../base/errors.ts';
import type { AgentMirror } from '../agents/mirror.ts';

export type ImportStatus = JobObject['status'];

export class Imports {
  readonly #running = new Map<string, ImportStatus>();
  readonly #onEnd: (volume: string, problem: TransshipError | undefined) => void;

  constructor(onEnd: (volume: string, problem: TransshipError | undefined) => void) {
    this.#onEnd = onEnd;
  }

  find(volume: string): ImportStatus | undefined {
    return this.#running.get(volume);
  }

  /** Begins it, unless the agent is at it already for a controller that is no more. */
  async start(mirror: AgentMirror, request: RequestOf<'volume.import'>): Promise<void> {
    const { name } = request;
    if (this.#running.has(name)) return;
    const { items } = await mirror.call('job.list', {});
    const found = items.find(({ spec, status }) => {
      return spec.type === 'Import' && spec.target === name && status.phase === 'Running';
    });
    this.#running.set(name, found?.status ?? { phase: 'Running', doneBytes: 0, totalBytes: 0 });
    const note = (doneBytes: number, totalBytes: number) => {
      this.#running.set(name, { phase: 'Running', doneBytes, totalBytes });
    };
    const job =
      found === undefined
        ? mirror.import(request, note)
        : mirror.followJob(found.metadata.name, note);
    void job.then(
      ({ status }) => this.#ended(name, status),
      (error: unknown) => this.#ended(name, undefined, asTransshipError(error)),
    );
  }

  #ended(name: string, status: ImportStatus | undefined, error?: TransshipError): void {
    this.#running.delete(name);
    this.#onEnd(name, error ?? problemOf(status));
  }
}

function problemOf(status: ImportStatus | undefined): TransshipError | undefined {
  if (status === undefined || status.phase === 'Succeeded') return undefined;
  return asTransshipError(new Error(status.message ?? `the import was ${status.phase}`));
}
