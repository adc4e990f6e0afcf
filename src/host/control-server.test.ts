import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serveMetricsTo } from './control-server.ts';
import { createMetrics } from './metrics.ts';
import { parseListen } from './settings.ts';

test('metrics are read over the network, and nothing else is there', async (t) => {
  const metrics = createMetrics();
  metrics.add('transship_reconcile_total', 3, { kind: 'Volume', result: 'done' });
  const server = await serveMetricsTo(parseListen('*:0'), () => metrics.text());
  t.after(() => server.close());
  // Of all addresses: the one of IPv6 may be switched off here, that of IPv4 is not.
  const at = `http://127.0.0.1:${server.port}`;
  const read = await fetch(`${at}/metrics`);
  assert.equal(read.status, 200);
  assert.match(read.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const line = 'transship_reconcile_total{kind="Volume",result="done"} 3';
  assert.ok((await read.text()).includes(line));
  for (const [method, path] of [
    ['POST', '/metrics'],
    ['GET', '/'],
    ['GET', '/v1/volumes'],
  ] as const) {
    const { status, body } = await fetch(`${at}${path}`, { method });
    await body?.cancel();
    assert.equal(status, 404, `${method} ${path}`);
  }
  await assert.rejects(
    serveMetricsTo(parseListen(`*:${server.port}`), () => metrics.text()),
    {
      reason: 'InUse',
    },
  );
});
