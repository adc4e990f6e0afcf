/** What a plan's status says, within the sizes that it may have. Pure. */
import { checksMax, volumesMax } from '../../api/kinds/migrating.ts';
import type { Plan, PlanStatus } from '../../api/kinds/plan.ts';
import { condition, type Report } from '../status.ts';
import { allChecks } from './checks/all.ts';
import { type CheckResult, isBlocking, type Judged, runCheck, sentences } from './checks/check.ts';
import { estimate } from './estimate.ts';
import type { Observation } from './observation.ts';
import { inferType } from './type.ts';
import { type PlannedVolume, plannedVolumes } from './volumes.ts';

const imagesMax = 1000;
const unhealthyMax = 100;
const incompatibleMax = 100;
const migrationsMax = 50;
const textMax = 500;
/** Numbers that nobody waits for: the look itself is not more frequent. */
const slowMs = 10_000;

/** Ready or not by these checks, all of which are of one generation (U-18). */
export function readyOf(checks: readonly CheckResult[]): Report['conditions'][number] {
  const failed = checks.filter(isBlocking);
  if (failed.length > 0) {
    const critical = failed.filter(({ category }) => category === 'Critical');
    const first = critical.length > 0 ? critical : failed;
    const said = first.map(({ id, message = '' }) => `${id}: ${message}`);
    return condition('Ready', false, 'ChecksFailed', sentences(said));
  }
  const pending = checks.filter(({ result }) => result === 'Pending');
  if (pending.length > 0) {
    return condition('Ready', 'Unknown', 'Checking', 'the clusters are being looked at');
  }
  const warned = checks.filter(({ result }) => result === 'Failed').length;
  const message = warned === 0 ? 'all checks passed' : `${warned} checks have something to say`;
  return condition('Ready', true, 'Ready', message);
}

export function reportOf(seen: Observation, observedTime: string): Report {
  const volumes = plannedVolumes(seen);
  const judged: Judged = { seen, volumes, type: inferType(seen.plan) };
  const planned = estimate(seen, volumes);
  const checks = allChecks.map((one) => runCheck(one, judged));
  const notes = notesOf(judged, planned.basis);
  const fields: PlanStatus = {
    ...(judged.type === undefined ? {} : { type: judged.type }),
    observedTime,
    checks: [...checks, ...notes].slice(0, checksMax),
    ...(seen.seenSource === undefined ? {} : foundAt(seen, judged)),
    estimate: {
      bytesToMove: planned.bytesToMove,
      seconds: planned.seconds,
      downtimeSeconds: planned.downtimeSeconds,
      moves: planned.moves,
    },
    migrations: migrationNames(seen.migrations),
  };
  return { conditions: [readyOf(checks)], fields, slowMs };
}

export function migrationNames(found: Observation['migrations']): readonly string[] {
  return found
    .slice(0, migrationsMax)
    .flatMap(({ metadata: { name } }) => (name === undefined ? [] : name));
}

function notesOf({ volumes, type }: Judged, basis: string): readonly CheckResult[] {
  const note = (id: string, message: string): CheckResult => {
    return { id, category: 'Advisory', result: 'Passed', message };
  };
  return [
    ...(type === undefined ? [] : [note('TypeIdentified', `It moves as ${type}.`)]),
    note('EstimateBasis', `The estimate counts with ${basis}.`),
    ...(volumes.length <= volumesMax
      ? []
      : [
          note('StatusShortened', `The first ${volumesMax} of ${volumes.length} claims are shown.`),
        ]),
  ];
}

function foundAt(seen: Observation, { volumes }: Judged): Partial<PlanStatus> {
  const items = seen.seenSource?.survey?.inventory.items ?? [];
  const images = [...new Set(items.flatMap((one) => one.images.map(({ text }) => text)))];
  const shown = images.toSorted().slice(0, imagesMax);
  const bytes = volumes.reduce((all, one) => all + (one.usedBytes ?? one.capacityBytes), 0);
  return {
    unhealthy: (seen.seenSource?.unhealthy ?? [])
      .slice(0, unhealthyMax)
      .map(({ name: { namespace, kind, name }, because }) => {
        return { namespace, kind, name, because: because.slice(0, textMax) };
      }),
    incompatible: incompatibleOf(seen),
    volumes: volumes.slice(0, volumesMax).map(shownVolume),
    images: shown.map((reference) => ({ reference: reference.slice(0, textMax) })),
    totals: {
      namespaces: seen.plan.spec.namespaces.length,
      resources: items.length,
      volumes: volumes.length,
      images: images.length,
      bytes,
    },
  };
}

function incompatibleOf({ seenSource }: Observation): NonNullable<PlanStatus['incompatible']> {
  const items = seenSource?.survey?.inventory.items ?? [];
  const unserved = items.filter((one) => one.unserved !== undefined);
  const groups = Map.groupBy(unserved, ({ type: { group, plural } }) => {
    return group === '' ? plural : `${plural}.${group}`;
  });
  return [...groups].slice(0, incompatibleMax).map(([resource, of]) => {
    const message = of[0]?.unserved?.message ?? '';
    return { resource, objects: of.length, message: message.slice(0, textMax) };
  });
}

type ShownVolume = NonNullable<PlanStatus['volumes']>[number];

function shownVolume(one: PlannedVolume): ShownVolume {
  const { namespace, claim, volume, storageClass, usedBytes, choice, action } = one;
  const { capacityBytes, volumeMode, actions, accessModes } = one;
  const { method, declined } = choice;
  return {
    namespace,
    claim,
    ...(volume === undefined ? {} : { volume }),
    ...(storageClass === undefined ? {} : { storageClass }),
    capacityBytes,
    ...(usedBytes === undefined ? {} : { usedBytes }),
    accessModes: accessModes as NonNullable<ShownVolume['accessModes']>,
    volumeMode,
    actions,
    ...(action === 'Copy' && method !== undefined ? { method } : {}),
    ...(action === 'Copy' ? { declined } : {}),
  };
}

/** A closed plan is not looked at any more; what was found stays to be read. */
export function closedReport({ status }: Plan, left?: string): Report {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = status ?? {};
  const message = 'the plan is closed; no migration of it can run';
  const ready =
    left === undefined
      ? condition('Ready', false, 'Closed', message)
      : condition('Ready', false, 'Closing', left);
  return { conditions: [ready], fields: known };
}
