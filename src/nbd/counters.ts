/** Totals over all connections of a server; plain numbers, because they change at every request. */
export interface NbdCounters {
  /** By command number. */
  readonly requests: number[];
  bytesRead: number;
  bytesWritten: number;
  /** Requests answered with an error, by command number; unknown commands come last. */
  readonly errors: number[];
}

export function newCounters(): NbdCounters {
  return {
    requests: Array.from({ length: 8 }, () => 0),
    bytesRead: 0,
    bytesWritten: 0,
    errors: Array.from({ length: 9 }, () => 0),
  };
}

export function countError(counters: NbdCounters, type: number): void {
  const known = Math.min(type, counters.errors.length - 1);
  counters.errors[known] = (counters.errors[known] ?? 0) + 1;
}
