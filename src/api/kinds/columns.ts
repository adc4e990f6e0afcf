/** Columns of `kubectl get`, built alike in all kinds. */
import type { Column } from './kind.ts';

function column(type: Column['type']) {
  return (name: string, jsonPath: string, description: string): Column => {
    return { name, type, jsonPath, description };
  };
}

function ofCondition(field: string) {
  return (name: string, type: string, description: string): Column => ({
    name,
    type: 'string',
    jsonPath: `.status.conditions[?(@.type=="${type}")].${field}`,
    description,
  });
}

export const columns = {
  text: column('string'),
  number: column('integer'),
  flag: column('boolean'),
  date: column('date'),
  /** The status of a condition: True, False or Unknown. */
  condition: ofCondition('status'),
  /** The reason of a condition. */
  reason: ofCondition('reason'),
  /** Shown with `-o wide` only. */
  wide: (shown: Column): Column => ({ ...shown, wide: true }),
} as const;
