// Two real agents are used for a while; then every metric of the table must be there, fed.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { metricDefinitions, type MetricDefinition } from '../../src/base/metric-names.ts';
import { connectNbd, parseNbdUri } from '../../src/host/nbd-client.ts';
import { expressionsOf, familyOf, readDashboards, root } from './dashboards.ts';
import { parseExpression } from './promql.ts';

/** Fed only by what did not happen here. */
const quiet: Readonly<Record<string, string>> = {
  transship_volume_errors_total: 'no request failed',
  transship_disk_failures_total: 'no disk failed',
  transship_rejected_chunks_total: 'no chunk was damaged',
  transship_peer_reconnects_total: 'no link was lost',
  transship_nbd_errors_total: 'no NBD request failed',
  transship_replicas: 'no volume has several; test/interop/replica',
  transship_replica_missing_bytes: 'no volume has several',
  transship_replica_rebuilds_total: 'no volume has several',
  transship_replica_elections_total: 'no volume has several',
  transship_replica_reads_elsewhere_total: 'no volume has several',
  transship_migrations: 'nothing migrated; src/controllers/migration/telling.test.ts',
  transship_migrations_total: 'nothing migrated',
  transship_migration_steps_total: 'nothing migrated',
  transship_migration_step_seconds: 'nothing migrated',
  transship_replications: 'nothing replicated; src/controllers/replication/telling.test.ts',
  transship_replications_total: 'nothing replicated',
  transship_replication_checks_total: 'nothing replicated',
  transship_replication_lag_seconds: 'nothing replicated',
  transship_transfers_total: 'nothing migrated',
  transship_transfer_bytes_total: 'nothing migrated',
  transship_transfer_wire_bytes_total: 'nothing migrated',
  transship_transfer_seconds: 'nothing migrated',
};

const home = mkdtempSync(join(tmpdir(), 'transship-metrics-'));
const volumeBytes = 64 * 2 ** 20;

function transship(...words: readonly string[]): string {
  const env = { ...process.env, TRANSSHIP_HOME: home };
  return execFileSync(join(root, 'bin/transship'), words, { env, stdio: 'pipe' }).toString();
}

async function useVolume(cluster: string, isWriting: boolean): Promise<void> {
  const uri = transship('volume', 'uri', 'db', '--cluster', cluster).trim();
  const client = await connectNbd(parseNbdUri(uri));
  const block = Buffer.alloc(64 * 1024);
  // One request in 16 is timed.
  for (let index = 0; index < 64; index++) {
    const at = (index * 7 * block.length) % volumeBytes;
    if (isWriting) await client.write(block.fill(`block ${index}`), at);
    else await client.read(block, at);
  }
  if (isWriting) await client.flush();
  client.disconnect();
}

/** What the agent and the control plane of a cluster say, with comments. */
async function scrape(cluster: string): Promise<string> {
  const shown = transship('cluster', 'show', '--cluster', cluster);
  const urls = [...shown.matchAll(/^Metrics.*: (http:\S+)$/gm)].map(([, url = '']) => url);
  assert.equal(urls.length, 2, shown);
  const texts = [];
  for (const url of urls) {
    const response = await fetch(url);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    texts.push(await response.text());
  }
  return texts.join('');
}

suite('metrics of running agents', () => {
  let text = '';
  before(async () => {
    transship('up', 'east', 'west', '--detach');
    transship('volume', 'create', 'db', '--size', String(volumeBytes), '--cluster', 'east');
    await useVolume('east', true);
    transship('teleport', 'db', '--from', 'east', '--to', 'west', '--thin');
    await useVolume('west', false);
    await useVolume('west', true);
    transship('teleport', 'fill', 'db', '--cluster', 'west', '--wait');
    transship('cluster', 'check', 'east', '--cluster', 'west');
    for (const work of ['scrub', 'collect']) transship('pool', work, '--cluster', 'west');
    text = (await scrape('west')) + (await scrape('east'));
  });
  after(() => {
    transship('down');
    rmSync(home, { recursive: true, force: true });
  });

  for (const [name, definition] of Object.entries(metricDefinitions)) {
    test(name, () => {
      const { kind, labels }: MetricDefinition = definition;
      assert.ok(text.includes(`# TYPE ${name} ${kind}\n`), `${name} is not exposed`);
      const series = text.split('\n').filter((line) => nameOf(line) === name);
      if (quiet[name] !== undefined) return;
      const fed = kind === 'histogram' ? series.filter((line) => !line.endsWith(' 0')) : series;
      assert.ok(fed.length > 0, `nothing feeds ${name}: feed it, or take it out of the table`);
      for (const label of labels) {
        assert.ok(
          series.every((line) => line.includes(`${label}="`)),
          `${name} without ${label}`,
        );
      }
    });
  }

  test('have everything that the dashboards show', () => {
    for (const dashboard of readDashboards()) {
      for (const { place, expr } of expressionsOf(dashboard)) {
        for (const { metric } of parseExpression(expr).selectors) {
          if (quiet[familyOf(metric).name] !== undefined) continue;
          const found = text.split('\n').some((line) => line.startsWith(`${metric}{`));
          const bare = text.split('\n').some((line) => line.startsWith(`${metric} `));
          assert.ok(found || bare, `${place}: no agent exposes ${metric}`);
        }
      }
    }
  });

  test('pass promtool', (t) => {
    const tool = spawnSync('promtool', ['--version']);
    if (tool.error !== undefined) return t.skip('needs promtool (Debian: prometheus)');
    const ended = spawnSync('promtool', ['check', 'metrics'], {
      input: text.slice(0, text.indexOf('# HELP transship_build_info', 1)),
    });
    // 3: opinions on style, such as a counter's name; 1: text that Prometheus cannot read.
    assert.equal(ended.status, 0, ended.stderr.toString());
    const rules = join(home, 'rules.yml');
    writeFileSync(rules, rulesOf());
    const checked = spawnSync('promtool', ['check', 'rules', rules]);
    assert.equal(checked.status, 0, checked.stdout.toString() + checked.stderr.toString());
    return undefined;
  });
});

function nameOf(line: string): string {
  return familyOf(/^[a-zA-Z_:][\w:]*/.exec(line)?.[0] ?? '').name;
}

/** Every expression as a recording rule: so Prometheus itself reads them. */
function rulesOf(): string {
  const all = readDashboards().flatMap((dashboard) => expressionsOf(dashboard));
  const rules = all.map(({ expr }, index) => {
    const plain = expr.replaceAll(/\$__(rate_interval|range)/g, '5m');
    return `      - record: dashboards:expression:${index}\n        expr: ${JSON.stringify(plain)}`;
  });
  return `groups:\n  - name: dashboards\n    rules:\n${rules.join('\n')}\n`;
}
