/** Our own kinds as `deploy/crds` defines them, with the samples that must be taken or refused. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Case, type CaseContext, cases } from '../case.ts';
import { at, type Doc, listAt, textAt } from '../document.ts';
import { pathOf, readSamples, type Sample } from '../samples/samples.ts';

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const folder = join(import.meta.dirname, '../../../deploy/crds');

function definitions(): readonly Doc[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => parse(readFileSync(join(folder, file), 'utf8')) as Doc);
}

/** Makes ours the server's, whoever came first. */
export async function installOurs(t: CaseContext): Promise<void> {
  for (const crd of definitions()) {
    const name = textAt(crd, 'metadata.name');
    await t.rest.apply(`${crds}/${name}?force=true`, 'conformance', crd);
  }
  for (const crd of definitions()) {
    const name = textAt(crd, 'metadata.name');
    const version = textAt(crd, 'spec.versions.0.name');
    const group = textAt(crd, 'spec.group');
    const path = `/apis/${group}/${version}/${textAt(crd, 'spec.names.plural')}`;
    await t.until(`${name} to be served`, async () =>
      (await t.rest.send('GET', path)).status === 200 ? true : undefined,
    );
  }
}

async function send(t: CaseContext, sample: Sample): Promise<void> {
  const { object, definition, change, refused } = sample;
  const place = pathOf(definition, t.namespace);
  const one = `${place}/${object.metadata.name}`;
  const answer = change
    ? await t.rest.send('PUT', one, { ...object, metadata: await metadataOf(t, one, object) })
    : await t.rest.send('POST', `${place}?fieldValidation=Strict`, object);
  if (refused === undefined) {
    assert.ok(answer.status < 300, `${sample.title}: ${answer.text}`);
    return;
  }
  assert.equal(answer.status, 422, `${sample.title}: ${answer.status} ${answer.text}`);
  assert.ok(textAt(answer.body, 'message').includes(refused), `${sample.title}: ${answer.text}`);
}

async function metadataOf(t: CaseContext, path: string, object: Sample['object']): Promise<Doc> {
  const now = await t.rest.get(path);
  return { ...object.metadata, resourceVersion: at(now, 'metadata.resourceVersion') };
}

/** One of a run before this one, where the server is somebody else's. */
async function clear(t: CaseContext, samples: readonly Sample[]): Promise<void> {
  for (const { definition, object } of samples) {
    const path = `${pathOf(definition, t.namespace)}/${object.metadata.name}`;
    await t.rest.send('DELETE', path);
  }
}

function ofKind(kind: string): (t: CaseContext) => Promise<void> {
  return async (t) => {
    await installOurs(t);
    const samples = readSamples().filter((one) => one.definition.kind === kind);
    await clear(t, samples);
    for (const sample of samples) await send(t, sample);
    await clear(t, samples);
  };
}

const kinds = [...new Set(readSamples().map((one) => one.definition.kind))].toSorted();

export const ourCases: readonly Case[] = cases('our kinds', {
  'every definition is established, structural, and has a status': async (t) => {
    await installOurs(t);
    for (const crd of definitions()) {
      const now = await t.rest.get(`${crds}/${textAt(crd, 'metadata.name')}`);
      const conditions = listAt(now, 'status.conditions').map(
        (one) => `${one['type']}=${one['status']}`,
      );
      assert.ok(conditions.includes('Established=True'), conditions.join());
      assert.ok(!conditions.includes('NonStructuralSchema=True'), conditions.join());
      assert.deepEqual(at(now, 'spec.versions.0.subresources.status'), {});
    }
  },
  ...Object.fromEntries(
    kinds.map((kind) => [`samples of ${kind} are taken or refused`, ofKind(kind)]),
  ),
});
