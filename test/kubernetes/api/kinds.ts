/** Our own kinds: the CRDs are taken, and objects are taken or refused as their rules say. */
import { kinds } from '../../../src/api/kinds/all.ts';
import { cases } from '../case.ts';
import { readSamples } from '../samples/samples.ts';
import { installKinds, type Trial, trySample } from '../samples/trial.ts';

export const kindCases = cases('kinds', {
  'samples of our kinds are taken or refused': {
    // The kinds without a namespace have the names of the samples in the whole cluster.
    alone: true,
    run: async (t) => {
      const { namespace, until } = t;
      const trial: Trial = { namespace, until, send: t.rest.send };
      await installKinds(trial);
      for (const sample of readSamples()) await trySample(trial, sample);
      await t.k(`get ${kinds.map(({ plural }) => plural).join(',')}`);
    },
  },
});
