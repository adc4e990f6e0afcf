/** Our own kinds as `deploy/crds` defines them, with the samples that must be taken or refused. */
import assert from 'node:assert/strict';
import { kinds } from '../../../src/api/kinds/all.ts';
import { crdName } from '../../../src/api/kinds/crd.ts';
import { type Case, type CaseContext, cases } from '../case.ts';
import { at, listAt } from '../document.ts';
import { pathOf, readSamples, type Sample } from '../samples/samples.ts';
import { installKinds, trySample } from '../samples/trial.ts';

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Makes our kinds the server's, whoever came first. */
export async function installOurs(t: CaseContext): Promise<void> {
  await installKinds({ namespace: t.namespace, until: t.until, send: t.rest.send });
}

/** Kinds without a namespace have the names of the samples in the whole cluster. */
async function clear(t: CaseContext, samples: readonly Sample[]): Promise<void> {
  for (const { definition, object } of samples) {
    await t.rest.send('DELETE', `${pathOf(definition, t.namespace)}/${object.metadata.name}`);
  }
}

function ofKind(kind: string): (t: CaseContext) => Promise<void> {
  return async (t) => {
    await installOurs(t);
    const samples = readSamples().filter((one) => one.definition.kind === kind);
    await clear(t, samples);
    const trial = { namespace: t.namespace, until: t.until, send: t.rest.send };
    for (const sample of samples) await trySample(trial, sample);
    await clear(t, samples);
  };
}

export const ourCases: readonly Case[] = cases('our kinds', {
  'every definition is established, structural, and has a status': async (t) => {
    await installOurs(t);
    for (const definition of kinds) {
      const now = await t.rest.get(`${crds}/${crdName(definition)}`);
      const conditions = listAt(now, 'status.conditions').map(
        (one) => `${one['type']}=${one['status']}`,
      );
      assert.ok(conditions.includes('Established=True'), conditions.join());
      assert.ok(!conditions.includes('NonStructuralSchema=True'), conditions.join());
      assert.deepEqual(at(now, 'spec.versions.0.subresources.status'), {});
    }
  },
  ...Object.fromEntries(
    kinds.map(({ kind }) => [`samples of ${kind} are taken or refused`, ofKind(kind)]),
  ),
});
