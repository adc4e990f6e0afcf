/** Saves that this controller runs or found running: jobs of agents, which may take hours. */
import type { RequestOf } from '../../api/control.ts';
import type { JobObject } from '../../api/objects.ts';
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import { isReason } from '../../base/reasons.ts';
import type { AgentMirror } from '../agents/mirror.ts';

export type SaveState =
  | { readonly phase: 'Running'; readonly doneBytes: number; readonly totalBytes: number }
  | { readonly phase: 'Succeeded'; readonly result: Readonly<Record<string, unknown>> }
  | { readonly phase: 'Failed'; readonly problem: TransshipError };

export class Saves {
  readonly #states = new Map<string, SaveState>();
  readonly #onEnd: (name: string) => void;

  constructor(onEnd: (name: string) => void) {
    this.#onEnd = onEnd;
  }

  find(name: string): SaveState | undefined {
    return this.#states.get(name);
  }

  forget(name: string): void {
    this.#states.delete(name);
  }

  /**
   * One of the same volume that runs already is waited for: it may be ours from before a restart,
   * and when it is not, this one begins after it.
   */
  async start(
    name: string,
    mirror: AgentMirror,
    request: RequestOf<'repository.save'>,
  ): Promise<void> {
    const { items } = await mirror.call('job.list', {});
    const found = items.find(({ spec, status }) => {
      return spec.type === 'Save' && spec.target === request.volume && status.phase === 'Running';
    });
    this.#states.set(name, { phase: 'Running', doneBytes: 0, totalBytes: 0 });
    const note = (doneBytes: number, totalBytes: number) => {
      this.#states.set(name, { phase: 'Running', doneBytes, totalBytes });
    };
    const before =
      found === undefined ? Promise.resolve() : mirror.followJob(found.metadata.name, note);
    void before
      .then(() => mirror.save(request, note))
      .then(
        (job) => this.#end(name, stateOf(job)),
        (error: unknown) => this.#end(name, { phase: 'Failed', problem: asTransshipError(error) }),
      );
  }

  #end(name: string, state: SaveState): void {
    if (!this.#states.has(name)) return;
    this.#states.set(name, state);
    this.#onEnd(name);
  }
}

function stateOf({ status }: JobObject): SaveState {
  if (status.phase === 'Succeeded') return { phase: 'Succeeded', result: status.result ?? {} };
  const { reason = 'Internal', message = `saving was ${status.phase}` } = status;
  const known = isReason(reason) ? reason : 'Internal';
  return { phase: 'Failed', problem: new TransshipError(known, message) };
}
