// docs/reference/metrics.md from the table of metrics.
import { type MetricDefinition, metricDefinitions } from '../../src/base/metric-names.ts';
import { code, generatedFrom, table } from './markdown.ts';

export function metricsReference(): string {
  const definitions: readonly (readonly [string, MetricDefinition])[] =
    Object.entries(metricDefinitions);
  const rows = definitions.map(([name, { kind, labels, help }]) => [
    code(name),
    kind,
    labels.map(code).join(', ') || '–',
    help,
  ]);
  const lines = [
    generatedFrom('`src/base/metric-names.ts`'),
    '',
    '# Metrics',
    '',
    'An agent serves them as Prometheus text at the address that `transship cluster show` prints,',
    'on its control socket, and through `transship metrics`. `transship_request_seconds` times one',
    'read or write of sixteen, and every flush.',
    '',
    ...table(['metric', 'kind', 'labels', 'meaning'], rows),
  ];
  return `${lines.join('\n')}\n`;
}
