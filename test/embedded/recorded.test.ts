// What a real API server (1.36.3) answered to the same requests, kept in test/golden/schema: each
// scenario is one object, changed request by request. `result` is the object it then had, without
// what differs from server to server; `refused` are the causes of the refusal.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type {
  Json,
  JsonObject,
  ManagedField,
  ServedResource,
} from '../../src/embedded/schema/api.ts';
import { canonical, isArray } from '../../src/embedded/schema/json.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';

interface Step {
  readonly op: 'create' | 'merge' | 'json' | 'strategic' | 'apply';
  readonly sub?: string;
  readonly manager: string;
  readonly force?: boolean;
  readonly object: JsonObject;
  readonly result?: JsonObject;
  readonly refused?: readonly string[];
}

interface Scenario {
  readonly title: string;
  readonly ops: readonly Step[];
}

const directory = join(import.meta.dirname, '../golden/schema');
const read = (name: string): unknown =>
  JSON.parse(readFileSync(join(directory, `${name}.json`), 'utf8'));

const library = createSchemaLibrary();
const widgets = library.ofDefinition(read('widgets') as JsonObject);
assert.ok(!('errors' in widgets), 'the definition of widgets is accepted');
const resources = [...library.builtIns(), ...widgets];

function resourceOf({ apiVersion, kind }: JsonObject): ServedResource {
  const found = resources.find((one) => {
    const version = one.group === '' ? one.version : `${one.group}/${one.version}`;
    return version === apiVersion && one.kind === kind;
  });
  assert.ok(found, `${String(kind)} is served`);
  return found;
}

type Outcome = { readonly object: JsonObject } | { readonly refused: readonly string[] };

/** As a server does it: sub-resources keep to their part, checks come last. */
class Replay {
  readonly #resource: ServedResource;
  #live: JsonObject | undefined;
  #seconds = 0;

  constructor(resource: ServedResource) {
    this.#resource = resource;
  }

  run(step: Step): Outcome {
    this.#seconds += 1;
    const live = this.#live;
    switch (step.op) {
      case 'create':
        return this.#finish(step, this.#placed(step.object));
      case 'merge':
        return this.#finish(step, library.mergePatch(live ?? {}, step.object));
      case 'json':
        return this.#finish(step, library.jsonPatch(live ?? {}, step.object as unknown as Json[]));
      case 'strategic':
        return this.#finish(step, this.#resource.schema.strategicMerge(live ?? {}, step.object));
      case 'apply':
        return this.#apply(step);
    }
  }

  #placed(object: JsonObject): JsonObject {
    if (!this.#resource.namespaced) return object;
    return { ...object, metadata: { ...(object['metadata'] as JsonObject), namespace: 'default' } };
  }

  #context(step: Step): {
    manager: string;
    time: string;
    apiVersion: string;
    subresource: string | undefined;
  } {
    const { group, version } = this.#resource;
    return {
      manager: step.manager,
      time: new Date(1_700_000_000_000 + this.#seconds * 1000).toISOString(),
      apiVersion: group === '' ? version : `${group}/${version}`,
      subresource: step.sub,
    };
  }

  #apply(step: Step): Outcome {
    const request = { ...this.#context(step), live: this.#live, force: step.force ?? false };
    const applied = this.#placed(step.object);
    const result = this.#resource.schema.apply({ ...request, applied });
    if (!('conflicts' in result)) return this.#finish(step, result.object, result.managed);
    return {
      refused: result.conflicts.map(({ field, manager, subresource, apiVersion }) => {
        const part = subresource === undefined ? '' : ` with subresource "${subresource}"`;
        const using = apiVersion === '' ? '' : ` using ${apiVersion}`;
        return `${field}|FieldManagerConflict|conflict with "${manager}"${part}${using}`;
      }),
    };
  }

  #finish(step: Step, raw: JsonObject, applied?: readonly ManagedField[]): Outcome {
    const { schema, subresources } = this.#resource;
    let { object } = schema.prepare(raw);
    const live = this.#live;
    if (subresources.status) {
      const status = live?.['status'];
      const { status: asked, ...rest } = object;
      const isStatus = step.sub === 'status';
      const kept = isStatus ? asked : status;
      const base = isStatus ? (live ?? {}) : rest;
      object = schema.prepare(kept === undefined ? base : { ...base, status: kept }).object;
    }
    const errors = schema.validate(object, live);
    if (errors.length > 0) {
      return {
        refused: errors.map(({ field, reason, message }) => `${field}|${reason}|${message}`),
      };
    }
    const managed = applied ?? schema.track({ ...this.#context(step), before: live, now: object });
    const metadata = { ...(object['metadata'] as JsonObject), managedFields: managed };
    this.#live = { ...object, metadata: metadata as unknown as JsonObject };
    return { object: this.#live };
  }
}

/** Without what differs from server to server, as it was recorded. */
function comparable(object: JsonObject): Json {
  const { metadata, ...rest } = object;
  const { managedFields, ...kept } = metadata as JsonObject;
  const entries = (isArray(managedFields) ? managedFields : []).map((entry) => {
    const { time: _, ...others } = entry as JsonObject;
    return canonical(others);
  });
  const managers = entries.sort().map((entry) => JSON.parse(entry) as Json);
  return JSON.parse(canonical({ ...rest, metadata: kept, MF: managers })) as Json;
}

for (const name of ['built-ins', 'custom', 'refusals']) {
  describe(`as a real server answered: ${name}`, () => {
    for (const { title, ops } of read(name) as readonly Scenario[]) {
      test(title, () => {
        const [first] = ops;
        assert.ok(first);
        const replay = new Replay(resourceOf(first.object));
        for (const step of ops) {
          const outcome = replay.run(step);
          if (step.refused !== undefined) {
            assert.ok('refused' in outcome, `${step.op} is refused`);
            assert.deepEqual([...outcome.refused].sort(), step.refused);
          } else {
            assert.ok('object' in outcome, `${step.op} is taken: ${JSON.stringify(outcome)}`);
            assert.deepEqual(comparable(outcome.object), step.result);
          }
        }
      });
    }
  });
}
