/** Kinds with a schema and no controller yet: their objects say so; nobody waits in vain. */
import { notImplemented } from '../../api/kinds/all.ts';
import type { KindDefinition } from '../../api/kinds/kind.ts';
import type { Informer, Outcome } from '../../kube/api.ts';
import { parseKey, type ResourceType } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Controller } from '../context.ts';
import { type Reported, type StatusWriter, condition } from '../status.ts';

export function resourceTypeOf(definition: KindDefinition): ResourceType<Reported> {
  const { kind, plural, namespaced } = definition;
  return { group: 'transship.dev', version: 'v1alpha1', plural, kind, namespaced };
}

export class WaitingController implements Controller {
  readonly name: string;
  readonly concurrency = 1;
  readonly sources: readonly Source[];
  readonly #informer: Informer<Reported>;
  readonly #statuses: StatusWriter;

  constructor(informer: Informer<Reported>, statuses: StatusWriter) {
    this.name = informer.type.kind;
    this.#informer = informer;
    this.#statuses = statuses;
    this.sources = [watching(informer)];
  }

  async reconcile(key: string): Promise<Outcome> {
    const cached = this.#informer.get(parseKey(key));
    if (cached === undefined) return {};
    const object = this.#statuses.newest(cached);
    const { type, reason, message } = notImplemented(this.name);
    const report = { conditions: [condition(type, 'Unknown', reason, message)], fields: {} };
    const againAfterMs = await this.#statuses.write(this.#informer.type, object, report);
    return againAfterMs === undefined ? {} : { againAfterMs };
  }
}
