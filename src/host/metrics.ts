import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { assert } from '../base/errors.ts';
import {
  metricDefinition,
  metricDefinitions,
  type MetricDefinition,
} from '../base/metric-names.ts';
import type { Metrics } from '../base/ports.ts';

type Labels = Readonly<Record<string, string>>;

export interface HostMetrics extends Metrics {
  /** The Prometheus text format of everything recorded so far. */
  text(): Promise<string>;
  readonly contentType: string;
  /** Forgets the series with this label value, such as those of a deleted volume. */
  forget(label: string, value: string): Promise<void>;
}

type Instrument =
  | { readonly kind: 'counter'; readonly it: Counter; readonly labels: readonly string[] }
  | { readonly kind: 'gauge'; readonly it: Gauge; readonly labels: readonly string[] }
  | { readonly kind: 'histogram'; readonly it: Histogram; readonly labels: readonly string[] };

/** The table of `src/base/metric-names.ts` as instruments; a name outside it is a bug. */
export function createMetrics(): HostMetrics {
  const registry = new Registry();
  const instruments = new Map<string, Instrument>();
  for (const [name, definition] of Object.entries(metricDefinitions)) {
    instruments.set(name, createInstrument(registry, name, definition));
  }
  const find = (name: string, kind: Instrument['kind'], labels: Labels): Instrument => {
    const instrument = instruments.get(name);
    assert(instrument !== undefined, `unknown metric ${name}`);
    assert(instrument.kind === kind, `metric ${name} is a ${instrument.kind}, not a ${kind}`);
    const complete = instrument.labels.every((label) => labels[label] !== undefined);
    assert(complete, `metric ${name} needs the labels ${instrument.labels.join(', ')}`);
    return instrument;
  };
  return {
    add: (name, value, labels = {}) => {
      const { it, kind } = find(name, 'counter', labels);
      if (kind === 'counter') it.inc(labels, value);
    },
    set: (name, value, labels = {}) => {
      const { it, kind } = find(name, 'gauge', labels);
      if (kind === 'gauge') it.set(labels, value);
    },
    observe: (name, seconds, labels = {}) => {
      const { it, kind } = find(name, 'histogram', labels);
      if (kind === 'histogram') it.observe(labels, seconds);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
    forget: async (label, value) => {
      for (const instrument of instruments.values()) await forgetIn(instrument, label, value);
    },
  };
}

function createInstrument(
  registry: Registry,
  name: string,
  { kind, help, labels, buckets }: MetricDefinition,
): Instrument {
  assert(metricDefinition(name) !== undefined, `metric ${name} is not in the table`);
  const shared = { name, help, labelNames: [...labels], registers: [registry] };
  switch (kind) {
    case 'counter':
      return { kind, it: new Counter(shared), labels };
    case 'gauge':
      return { kind, it: new Gauge(shared), labels };
    case 'histogram':
      return { kind, it: new Histogram({ ...shared, buckets: [...(buckets ?? [])] }), labels };
  }
}

async function forgetIn(instrument: Instrument, label: string, value: string): Promise<void> {
  const { it, labels } = instrument;
  if (!labels.includes(label)) return;
  const { values } = await it.get();
  for (const { labels: series } of values) {
    if (!Object.entries(series).some(([key, word]) => key === label && word === value)) continue;
    it.remove(Object.fromEntries(labels.map((key) => [key, seriesLabel(series, key)])));
  }
}

/** A histogram's series also carry their bucket, which its `remove` does not know. */
function seriesLabel(series: Readonly<Record<string, unknown>>, key: string): string {
  return String(series[key]);
}
