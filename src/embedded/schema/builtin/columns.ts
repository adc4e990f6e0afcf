// The columns kubectl shows of built-in kinds, by definition of `data.json`.
import type { PrinterColumn } from '../api.ts';
import { age, name } from './cells.ts';
import { clusterColumns } from './columns-cluster.ts';
import { podColumns } from './columns-pods.ts';
import { storageColumns } from './columns-storage.ts';
import { workloadColumns } from './columns-workloads.ts';

const all: Readonly<Record<string, readonly PrinterColumn[]>> = {
  ...clusterColumns,
  ...storageColumns,
  ...workloadColumns,
  'core.Pod': podColumns,
};

export function columnsOf(kind: string): readonly PrinterColumn[] {
  return all[kind] ?? [name, age];
}
