// A dashboard that asks for a metric that is not there shows an empty panel and no error.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { metricDefinition } from '../../src/base/metric-names.ts';
import { expressionsOf, familyOf, readDashboards } from './dashboards.ts';
import { parseExpression, type Selector } from './promql.ts';

const dashboards = readDashboards();
/** Labels that Prometheus gives a target, not the agent. */
const targetLabels = ['cluster', 'instance', 'job'];

suite('dashboards', () => {
  test('are the two that the documents name, with addresses that stay', () => {
    const found = dashboards.map(({ uid, title }) => `${uid}: ${title}`).toSorted();
    const wanted = [
      'transship-teleports: Cluster Teleport Statistics',
      'transship-volumes: Volume Performance',
    ];
    assert.deepEqual(found, wanted);
  });

  for (const dashboard of dashboards) {
    test(`${dashboard.file} is what Grafana imports`, () => {
      assert.equal(dashboard.id, null);
      assert.ok(dashboard.schemaVersion >= 36);
      const names = dashboard.templating.list.map(({ name }) => name);
      assert.ok(names.includes('datasource'));
      const ids = dashboard.panels.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length, 'panel ids repeat');
      for (const panel of dashboard.panels.filter(({ type }) => type !== 'row')) {
        assert.ok(panel.title !== '' && (panel.description ?? '') !== '', `panel ${panel.id}`);
        assert.equal(panel.datasource?.uid, '${datasource}', panel.title);
        assert.ok((panel.targets ?? []).length > 0, panel.title);
        for (const target of panel.targets ?? []) {
          assert.equal(target.datasource.uid, '${datasource}', panel.title);
        }
      }
    });

    test(`${dashboard.file} has no panels over each other`, () => {
      const taken = new Map<string, string>();
      for (const { title, gridPos } of dashboard.panels) {
        assert.ok(gridPos.x + gridPos.w <= 24, title);
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
          for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
            const other = taken.get(`${x},${y}`);
            assert.equal(other, undefined, `${title} lies over ${other}`);
            taken.set(`${x},${y}`, title);
          }
        }
      }
    });

    test(`${dashboard.file} names metrics and labels that exist`, () => {
      for (const { place, expr, legend } of expressionsOf(dashboard)) {
        const { selectors, groupedBy } = parseExpression(expr);
        assert.ok(selectors.length > 0, place);
        for (const selector of selectors) checkSelector(selector, place);
        const known = selectors.flatMap(({ metric }) => labelsOf(metric));
        const shown = [...legend.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map((match) => match[1]!);
        for (const label of groupedBy) assert.ok(known.includes(label), `${place}: by ${label}`);
        const left = groupedBy.length > 0 ? groupedBy : expr.startsWith('sum') ? [] : known;
        for (const label of shown) assert.ok(left.includes(label), `${place}: legend ${label}`);
      }
      for (const { name, definition } of dashboard.templating.list) {
        if (definition === undefined) continue;
        const match = /^label_values\((\w+)(?:\{(.*)\})?, (\w+)\)$/.exec(definition);
        assert.ok(match !== null, `variable ${name}: ${definition}`);
        assert.ok(labelsOf(match[1]!).includes(match[3]!), `variable ${name}: ${definition}`);
      }
    });
  }
});

function labelsOf(series: string): readonly string[] {
  const { name, suffix } = familyOf(series);
  const definition = metricDefinition(name);
  assert.ok(definition !== undefined, `there is no metric ${series}`);
  return [...definition.labels, ...targetLabels, ...(suffix === 'bucket' ? ['le'] : [])];
}

function checkSelector({ metric, labels, hasRange, within }: Selector, place: string): void {
  const { name, suffix } = familyOf(metric);
  const definition = metricDefinition(name);
  assert.ok(definition !== undefined, `${place}: there is no metric ${metric}`);
  assert.equal(suffix !== '', definition.kind === 'histogram', `${place}: ${metric}`);
  if (suffix === 'bucket') {
    assert.ok((definition.buckets ?? []).length > 0, `${place}: ${name} has no buckets`);
  }
  for (const label of labels) {
    assert.ok(labelsOf(metric).includes(label), `${place}: ${metric} has no label ${label}`);
  }
  const overTime = within === 'rate' || within === 'increase' || within === 'irate';
  assert.equal(overTime, hasRange, `${place}: a range goes with rate or increase: ${metric}`);
  assert.ok(!overTime || definition.kind !== 'gauge', `${place}: the rate of a gauge, ${metric}`);
}

suite('the reader of expressions', () => {
  test('finds selectors, labels and groups', () => {
    const text =
      'histogram_quantile(0.99, sum by (le, x) (rate(a_bucket{c=~"$d",e!="f"}[5m]))) > 0';
    const { selectors, groupedBy } = parseExpression(text);
    const wanted = { metric: 'a_bucket', labels: ['c', 'e'], hasRange: true, within: 'rate' };
    assert.deepEqual(selectors, [wanted]);
    assert.deepEqual(groupedBy, ['le', 'x']);
  });

  test('refuses what it does not understand', () => {
    for (const text of ['sum(', 'a{b}', 'unknown(a)', 'a b', 'a{b="c" d="e"', 'sum(a))']) {
      assert.throws(() => parseExpression(text), text);
    }
  });
});
