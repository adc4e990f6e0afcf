/** What the processes that move blocks say, one JSON object a line; read from their pods' logs. */
import type { BlockProgress, BlockSummary } from './block-ports.ts';

export type BlockLine =
  | { readonly type: 'Listening'; readonly port: number }
  | ({ readonly type: 'Progress' } & BlockProgress)
  | { readonly type: 'Refused'; readonly reason: string; readonly message: string }
  | { readonly type: 'Interrupted'; readonly reason: string; readonly message: string }
  | ({ readonly type: 'Done' } & BlockSummary)
  | { readonly type: 'Failed'; readonly reason: string; readonly message: string };

const types: ReadonlySet<string> = new Set<BlockLine['type']>([
  'Listening',
  'Progress',
  'Refused',
  'Interrupted',
  'Done',
  'Failed',
]);

/** Undefined for a line that is none of these, such as one that a log reader cut. */
export function parseBlockLine(line: string): BlockLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('type' in value)) return undefined;
    return types.has(String(value.type)) ? (value as BlockLine) : undefined;
  } catch {
    return undefined;
  }
}
