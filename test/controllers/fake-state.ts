// What fake agents remember, and what later ones go on from.
import type { BackupPartObject, TeleportObject } from '../../src/api/objects.ts';

export interface FakeVolume {
  name: string;
  id: string;
  sizeBytes: number;
  blockBytes: number;
  policy: string;
  dataBytes: number;
  missingBytes: number;
  doors: string[];
  origin?: { cluster: string; volume: string; lease: string; teleport: string; thin: boolean };
}

export interface FakeLease {
  readonly volume: string;
  readonly holder: string;
}

export interface FakeRecord {
  name: string;
  volume: string;
  cluster: string;
  sourceVolume: string;
  thin: boolean;
  policy: string;
  phase: TeleportObject['status']['phase'];
  bytesPerSecond?: number;
  totalBytes: number;
}

export type Retention = { secondsMs: number; minutesMs: number; hoursMs: number; daysMs: number };

export const none: Retention = { secondsMs: 0, minutesMs: 0, hoursMs: 0, daysMs: 0 };

export interface AgentState {
  next: number;
  volumes: Map<string, FakeVolume>;
  leases: Map<string, FakeLease>;
  records: FakeRecord[];
  policies: Map<string, Retention>;
}

export const presets: ReadonlySet<string> = new Set(['none', 'one-hour']);

/** What a later cloud goes on from. */
export interface CloudState {
  readonly agents: ReadonlyMap<string, AgentState>;
  readonly saved: ReadonlyMap<string, string>;
  readonly parts: ReadonlyMap<string, BackupPartObject>;
}
