// Tries samples on a server that has our CRDs.
import assert from 'node:assert/strict';
import { kinds } from '../../../src/api/kinds/all.ts';
import { crdName, crdOf } from '../../../src/api/kinds/crd.ts';
import { pathOf, type Sample } from './samples.ts';

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export type Send = (
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
) => Promise<Answer>;

export interface Trial {
  readonly send: Send;
  readonly namespace: string;
  /** Asks again and again until there is an answer. */
  until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T>;
}

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

interface CrdConditions {
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
}

/** Installs the CRDs where they are missing, and waits until all are served as structural ones. */
export async function installKinds({ send, until }: Trial): Promise<void> {
  for (const definition of kinds) {
    const { status, text } = await send('POST', crds, crdOf(definition));
    assert.ok(status === 201 || status === 409, `${definition.kind}: ${status} ${text}`);
  }
  for (const definition of kinds) {
    const name = crdName(definition);
    await until(`${name} to be served`, async () => {
      const { body } = await send('GET', `${crds}/${name}`);
      const { conditions = [] } = (body['status'] ?? {}) as CrdConditions;
      const holds = (type: string) =>
        conditions.some((one) => one.type === type && one.status === 'True');
      assert.ok(!holds('NonStructuralSchema'), `${name} is structural`);
      return holds('Established') ? true : undefined;
    });
  }
}

async function changed({ send }: Trial, sample: Sample, path: string): Promise<Answer> {
  const { object } = sample;
  const { body } = await send('GET', path);
  const { resourceVersion } = body['metadata'] as { readonly resourceVersion: string };
  return send('PUT', path, { ...object, metadata: { ...object.metadata, resourceVersion } });
}

/** Sends one sample; fails unless the server takes or refuses it as the sample says. */
export async function trySample(trial: Trial, sample: Sample): Promise<void> {
  const { definition, object, change, refused, title } = sample;
  const place = pathOf(definition, trial.namespace);
  const answer = change
    ? await changed(trial, sample, `${place}/${object.metadata.name}`)
    : await trial.send('POST', place, object);
  const { status, text, body } = answer;
  if (refused === undefined) {
    assert.equal(status, change ? 200 : 201, `${title}: ${text}`);
    return;
  }
  assert.equal(status, 422, `${title}: ${text}`);
  const message = String(body['message']);
  assert.ok(message.includes(refused), `${title}: ${message}`);
}
