/** Our kinds as users meet them: columns, explain, wait. */
import assert from 'node:assert/strict';
import { kinds } from '../../../src/api/kinds/all.ts';
import { cases } from '../case.ts';
import { installOurs } from '../api/ours.ts';
import { told } from './told.ts';

export const ourKubectlCases = cases('kubectl and our kinds', {
  'every kind can be listed by plural, short name and category': async (t) => {
    await installOurs(t);
    for (const { plural } of kinds) {
      const { code, stderr } = await t.kubectl(['get', `${plural}.transship.dev`]);
      assert.equal(code, 0, stderr);
    }
    const resources = told(await t.k('api-resources --api-group=transship.dev'));
    assert.equal(resources.length, kinds.length + 1);
    for (const { kind, plural } of kinds) {
      const line = resources.find((one) => one.startsWith(`${plural} `)) ?? '';
      assert.match(line, new RegExp(` transship\\.dev/v1alpha1 +(true|false) +${kind}$`));
    }
  },
  'explain explains': async (t) => {
    await installOurs(t);
    const found = await t.until('the schema', async () => {
      const result = await t.kubectl(['explain', 'teleport.spec']);
      return result.code === 0 ? result.stdout : undefined;
    });
    assert.match(found, /^GROUP: +transship\.dev\nKIND: +Teleport\nVERSION: +v1alpha1\n/);
    assert.match(found, /FIELD: spec <Object>/);
    assert.match(found, / {2}source\t<Object>/);
    for (const { plural } of kinds) {
      const whole = await t.k(`explain ${plural}.transship.dev --recursive`);
      assert.match(whole, /\n {2}status\t<Object>/);
    }
  },
  'a teleport is applied, shown and waited for': async (t) => {
    await installOurs(t);
    const manifest = {
      apiVersion: 'transship.dev/v1alpha1',
      kind: 'Teleport',
      metadata: { name: 'db' },
      spec: {
        source: { cluster: 'east', namespace: 'shop', claim: 'db' },
        destination: { cluster: 'west', namespace: 'shop', claim: 'db' },
      },
    };
    const applied = await t.k('apply -f -', { stdin: JSON.stringify(manifest) });
    assert.equal(applied, 'teleport.transship.dev/db created\n');
    const [head = '', line = ''] = told(await t.k('get teleports'));
    assert.match(head, /^NAME {2}.*PHASE.* AGE$/);
    assert.match(line, /^db /);
    const waiting = t.k('wait --for=condition=Succeeded teleport/db --timeout=20s');
    const conditions = [
      {
        type: 'Succeeded',
        status: 'True',
        reason: 'Done',
        message: 'all data is there',
        lastTransitionTime: '2026-01-02T03:04:05Z',
      },
    ];
    const path = `/apis/transship.dev/v1alpha1/namespaces/${t.namespace}/teleports/db/status`;
    await t.rest.patch(path, { status: { conditions } });
    assert.equal(await waiting, 'teleport.transship.dev/db condition met\n');
    assert.match(await t.k('describe teleport db'), /Message: +all data is there/);
  },
});
