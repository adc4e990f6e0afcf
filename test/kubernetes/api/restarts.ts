/** An API server that is killed and comes back. */
import assert from 'node:assert/strict';
import { cases } from '../case.ts';
import { at, has, textAt } from '../document.ts';
import { refused } from '../rest.ts';
import { configMap, widget, widgets } from './made.ts';

export const restartCases = cases('restarts', {
  'what was acknowledged is there after a kill, and versions go on': {
    alone: true,
    run: async (t) => {
      const { path, apiVersion } = await t.define(widgets());
      const made = await t.rest.post(path, widget(apiVersion, 'a'));
      const names = Array.from({ length: 30 }, (_, i) => `m${i}`);
      await Promise.all(names.map((name) => t.rest.post(t.path('configmaps'), configMap(name))));
      await t.rest.delete(t.path('configmaps/m7'));
      const user = await t.user([
        { apiGroups: [''], resources: ['configmaps'], verbs: ['list', 'get'] },
      ]);
      await t.restart();
      assert.deepEqual(await t.rest.get(`${path}/a`), made);
      for (const name of names) {
        const { status } = await t.rest.send('GET', t.path(`configmaps/${name}`));
        assert.equal(status, name === 'm7' ? 404 : 200, name);
      }
      const next = await t.rest.post(t.path('configmaps'), configMap('next'));
      const version = (doc: unknown): number => Number(at(doc, 'metadata.resourceVersion'));
      assert.ok(version(next) > version(made));
      // Tokens outlive the server that made them.
      await t.until('the rights to be known again', async () =>
        (await user.rest.send('GET', t.path('configmaps'))).status === 200 ? true : undefined,
      );
    },
  },
  'a watch goes on after a restart from where it was, or hears 410': {
    alone: true,
    run: async (t) => {
      const made = await t.rest.post(t.path('configmaps'), configMap('a'));
      await t.rest.patch(t.path('configmaps/a'), { data: { a: '2' } });
      await t.restart();
      const query = `resourceVersion=${textAt(made, 'metadata.resourceVersion')}`;
      const path = `${t.path('configmaps')}?${query}&fieldSelector=metadata.name%3Da`;
      const answer = await t.rest.send('GET', `${path}&watch=1&timeoutSeconds=1`);
      const first = JSON.parse(answer.text.split('\n')[0] ?? '') as object;
      if (at(first, 'type') === 'MODIFIED') has(first, { 'object.data': { a: '2' } });
      else assert.equal(at(first, 'object.code') ?? at(first, 'code'), 410);
    },
  },
  'a list token from before a restart still pages, or hears 410': {
    alone: true,
    run: async (t) => {
      for (const name of ['a', 'b', 'c'])
        await t.rest.post(t.path('secrets'), { metadata: { name } });
      const page = await t.rest.get(`${t.path('secrets')}?limit=2`);
      await t.restart();
      const token = encodeURIComponent(textAt(page, 'metadata.continue'));
      const answer = await t.rest.send('GET', `${t.path('secrets')}?limit=2&continue=${token}`);
      if (answer.status === 200) has(answer.body, { 'items.0.metadata.name': 'c' });
      else has(answer.body, { code: 410, reason: 'Expired' });
    },
  },
  'when old versions are gone, watches and pages hear 410 and how to go on': {
    alone: true,
    run: async (t) => {
      for (const name of ['a', 'b', 'c']) {
        await t.rest.post(t.path('secrets'), { metadata: { name } });
      }
      const path = `${t.path('secrets')}?limit=2`;
      const page = await t.rest.get(path);
      await t.rest.patch(t.path('secrets/a'), { data: { x: 'eA==' } });
      await t.forgetHistory();
      const version = textAt(page, 'metadata.resourceVersion');
      const watched = await t.rest.send(
        'GET',
        `${t.path('secrets')}?watch=1&resourceVersion=${version}&timeoutSeconds=2`,
      );
      const expired = watched.status === 200 ? at(watched.body, 'object') : watched.body;
      has(expired, { code: 410, reason: 'Expired' });
      const token = encodeURIComponent(textAt(page, 'metadata.continue'));
      const answer = await t.rest.send('GET', `${path}&continue=${token}`);
      refused(answer, 410, 'Expired', /^The provided continue parameter is too old to display a /);
      // The rest, as it is now.
      const next = encodeURIComponent(textAt(answer.body, 'metadata.continue'));
      has(await t.rest.get(`${path}&continue=${next}`), { 'items.0.metadata.name': 'c' });
    },
  },
});
