/** Named history policies: presets, and those people made, kept in one document. */
import { apiVersion, type HistoryPolicyObject, type RetentionView } from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName, printable } from '../base/names.ts';
import type { Disk } from '../base/ports.ts';
import { formatDuration, formatMoment } from '../base/units.ts';
import { type HistoryPolicy, noHistory } from '../volume/api.ts';
import { readDocument, replaceDocument } from '../volume/document.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** The class examples of I-20, and one for a year's worth of days. */
const presets: Readonly<Record<string, HistoryPolicy>> = {
  none: noHistory,
  'one-hour': { ...noHistory, secondsMs: hourMs },
  'one-day': { ...noHistory, secondsMs: dayMs },
  standard: { secondsMs: hourMs, minutesMs: dayMs, hoursMs: 7 * dayMs, daysMs: 30 * dayMs },
};

interface Stored {
  readonly policy: HistoryPolicy;
  readonly createdMs: number;
}

const documentPath = 'policies.json';

/** `BadPolicy`, naming the limit, for a retention that is too long. */
export function checkPolicy(policy: HistoryPolicy): HistoryPolicy {
  const bounds = [
    ['seconds', policy.secondsMs, limits.historySecondsMaxMs],
    ['minutes', policy.minutesMs, limits.historyMinutesMaxMs],
    ['hours', policy.hoursMs, limits.historyHoursMaxMs],
    ['days', policy.daysMs, limits.historyDaysMaxMs],
  ] as const;
  for (const [step, valueMs, maxMs] of bounds) {
    if (valueMs > maxMs) {
      const text = `${formatDuration(valueMs)}, the limit is ${formatDuration(maxMs)}`;
      fail('BadPolicy', `${step} would be kept for ${text}`);
    }
  }
  return policy;
}

export function samePolicy(a: HistoryPolicy, b: HistoryPolicy): boolean {
  return (
    a.secondsMs === b.secondsMs &&
    a.minutesMs === b.minutesMs &&
    a.hoursMs === b.hoursMs &&
    a.daysMs === b.daysMs
  );
}

export function retentionView(policy: HistoryPolicy): RetentionView {
  return {
    seconds: formatDuration(policy.secondsMs),
    minutes: formatDuration(policy.minutesMs),
    hours: formatDuration(policy.hoursMs),
    days: formatDuration(policy.daysMs),
  };
}

export class Policies {
  readonly #home: Disk;
  readonly #stored: Map<string, Stored>;
  /** Volume id → policy name, because the engine knows retention only. */
  readonly #assigned: Map<string, string>;

  constructor(home: Disk) {
    this.#home = home;
    const saved = (readDocument(home, documentPath) ?? {}) as {
      readonly policies?: Readonly<Record<string, Stored>>;
      readonly assigned?: Readonly<Record<string, string>>;
    };
    this.#stored = new Map(Object.entries(saved.policies ?? {}));
    this.#assigned = new Map(Object.entries(saved.assigned ?? {}));
  }

  names(): readonly string[] {
    return [...Object.keys(presets), ...[...this.#stored.keys()].toSorted()];
  }

  /** `NotFound` naming those that exist. */
  find(name: string): HistoryPolicy {
    const found = Object.hasOwn(presets, name) ? presets[name] : this.#stored.get(name)?.policy;
    if (found === undefined) {
      const known = this.names().join(', ');
      fail('NotFound', `no history policy '${printable(name)}' (there are ${known})`);
    }
    return found;
  }

  create(name: string, policy: HistoryPolicy, nowMs: number): void {
    checkName(name, 'history policy');
    if (Object.hasOwn(presets, name) || this.#stored.has(name)) {
      fail('AlreadyExists', `history policy ${name} exists already`);
    }
    this.#stored.set(name, { policy: checkPolicy(policy), createdMs: nowMs });
    this.#save();
  }

  /** Changes what the name means; the caller tells the volumes. */
  set(name: string, policy: HistoryPolicy): void {
    this.find(name);
    const before = this.#stored.get(name);
    if (before === undefined) {
      fail('NotAllowed', `${name} comes with Transship; make a policy of your own instead`);
    }
    this.#stored.set(name, { ...before, policy: checkPolicy(policy) });
    this.#save();
  }

  delete(name: string, users: readonly string[]): void {
    this.find(name);
    if (!this.#stored.has(name)) fail('NotAllowed', `${name} comes with Transship and stays`);
    if (users.length > 0) {
      fail('InUse', `history policy ${name} is that of volume ${users.slice(0, 5).join(', ')}`);
    }
    this.#stored.delete(name);
    this.#save();
  }

  assign(volumeId: string, name: string): void {
    if (this.#assigned.get(volumeId) === name) return;
    this.#assigned.set(volumeId, name);
    this.#save();
  }

  /** Forgets volumes that are gone. */
  keepOnly(volumeIds: ReadonlySet<string>): void {
    const gone = [...this.#assigned.keys()].filter((id) => !volumeIds.has(id));
    for (const id of gone) this.#assigned.delete(id);
    if (gone.length > 0) this.#save();
  }

  /** The name for what a volume keeps; `custom` when no policy says the same. */
  nameFor(volumeId: string, policy: HistoryPolicy): string {
    const assigned = this.#assigned.get(volumeId);
    if (assigned !== undefined && this.#means(assigned, policy)) return assigned;
    return Object.keys(presets).find((name) => samePolicy(presets[name]!, policy)) ?? 'custom';
  }

  #means(name: string, policy: HistoryPolicy): boolean {
    const found = Object.hasOwn(presets, name) ? presets[name] : this.#stored.get(name)?.policy;
    return found !== undefined && samePolicy(found, policy);
  }

  view(name: string, volumes: readonly string[], cluster: string): HistoryPolicyObject {
    const stored = this.#stored.get(name);
    return {
      kind: 'HistoryPolicy',
      apiVersion,
      metadata: {
        name,
        cluster,
        ...(stored === undefined ? {} : { creationTimestamp: formatMoment(stored.createdMs) }),
      },
      spec: retentionView(this.find(name)),
      status: { preset: stored === undefined, volumes },
    };
  }

  #save(): void {
    replaceDocument(this.#home, documentPath, {
      policies: Object.fromEntries(this.#stored),
      assigned: Object.fromEntries(this.#assigned),
    });
  }
}
