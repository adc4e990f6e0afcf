/** Teleports to this cluster, as the rest of the agent needs them. */
import type { RequestOf } from '../api/control.ts';
import type { TeleportObject } from '../api/objects.ts';

export interface Teleports {
  start(request: RequestOf<'teleport.start'>): Promise<TeleportObject>;
  list(): readonly TeleportObject[];
  /** Those with something missing. */
  active(): readonly TeleportObject[];
  find(name: string): TeleportObject | undefined;
  /** Calls back on change until `until` is reached, it ends, or the signal is aborted. */
  watch(
    name: string,
    until: string | undefined,
    watcher: { emit(view: TeleportObject): void; readonly signal: AbortSignal },
  ): Promise<TeleportObject>;
  /** Deletes the destination volume; its lease at the source is released when it can be. */
  cancel(name: string, force: boolean): Promise<TeleportObject>;
  fill(name: string, bytesPerSecond: number | undefined): Promise<TeleportObject>;
  /** 0 for a volume that is all here. */
  missingBytes(volume: string): number;
  /** Names of teleports that cannot finish without this peer. */
  dependingOn(peer: string): readonly string[];
  close(): Promise<void>;
}
