/** Events of a watch as lines of JSON (Kubernetes API concepts, "Detection of changes"). */
import type { JsonObject } from '../schema/api.ts';
import { withMeta } from './json.ts';
import type { Call } from './kernel.ts';
import type { Negotiated } from './negotiation.ts';
import { deletedObject, objectOf, textOf } from './present.ts';
import { includeOf, isSelected, type Selection } from './reading.ts';
import { apiVersionText } from './registry.ts';
import type { StatusError } from './status.ts';
import type { Entry, StoreEvent } from './store.ts';
import { makeTable, partial } from './table.ts';

const initialEventsEnd = 'k8s.io/initial-events-end';

export interface LineWriter {
  added(entry: Entry): string;
  /** Undefined: the selection never saw the object. */
  change(event: StoreEvent): string | undefined;
  bookmark(version: number, endsInitialEvents: boolean): string;
}

export function errorLine(error: StatusError): string {
  return `${JSON.stringify({ type: 'ERROR', object: error.status })}\n`;
}

export function makeLineWriter(call: Call, form: Negotiated, selection: Selection): LineWriter {
  const { kernel, resource } = call;
  const { store } = kernel;
  const shape = shaper(call, form);
  const line = (type: string, text: string): string => `{"type":"${type}","object":${text}}\n`;
  const whole = (type: string, entry: Entry): string =>
    form.form === 'object'
      ? line(type, textOf(store, resource, entry))
      : line(type, JSON.stringify(shape(objectOf(store, resource, entry))));
  return {
    added: (entry) => whole('ADDED', entry),
    change: (event) => {
      const { before, now } = event;
      const was = before !== undefined && isSelected(call, selection, before);
      const is = now.text !== undefined && isSelected(call, selection, now);
      if (is) return whole(was ? 'MODIFIED' : 'ADDED', now);
      if (!was) return undefined;
      return line('DELETED', JSON.stringify(shape(deletedObject(store, resource, event))));
    },
    bookmark: (version, endsInitialEvents) => {
      const { served } = resource;
      const annotations = endsInitialEvents ? { [initialEventsEnd]: 'true' } : undefined;
      const empty = { kind: served.kind, apiVersion: apiVersionText(served) };
      const changes = { resourceVersion: String(version), annotations };
      const mark = withMeta({ ...empty, metadata: { creationTimestamp: null } }, changes);
      return line('BOOKMARK', JSON.stringify(form.form === 'partial' ? partial(mark) : mark));
    },
  };
}

/** Objects as tables or metadata, where the client asked for that. */
function shaper(call: Call, form: Negotiated): (object: JsonObject) => JsonObject {
  if (form.form === 'partial') return (object) => partial(object, form.version);
  if (form.form !== 'table') return (object) => object;
  const { kernel, resource, info } = call;
  const maker = makeTable(resource.served, includeOf(info.query), kernel.library);
  let isFirst = true;
  return (object) => {
    const { metadata = {} } = object;
    const { resourceVersion = '' } = Object(metadata);
    // Columns only once: they do not change within a watch.
    const columnDefinitions = isFirst ? maker.columns : null;
    isFirst = false;
    return {
      kind: 'Table',
      apiVersion: `meta.k8s.io/${form.version}`,
      metadata: { resourceVersion },
      columnDefinitions,
      rows: [maker.row(object, kernel.clock.wallMs())],
    };
  };
}
