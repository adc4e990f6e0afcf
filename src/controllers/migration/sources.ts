/** What wakes migrations: themselves, their transfers, plans, and clusters that come and go. */
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Migration } from '../../api/kinds/migration.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import type { Change } from '../../kube/api.ts';
import { keyOf, keyText, parseKey } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Context } from '../context.ts';
import { isOpen, planKeyOf } from '../plan/migrations.ts';
import { tellTransfer } from './telling.ts';

type Transfer = VolumeTransfer | ImageTransfer;

export function sourcesOf(context: Context): readonly Source[] {
  const { informers, ports, remotes } = context;
  const open = () => [...informers.migrations.list()].filter(isOpen);
  const keysOf = (some: readonly Migration[]) => some.map((one) => keyText(keyOf(one)));
  const ofPlan = (plan: string) => informers.migrations.byIndex('plan', plan).filter(isOpen);
  return [
    watching(informers.migrations, (change) => {
      const counts = new Map<string, number>();
      for (const { spec } of open()) counts.set(spec.type, (counts.get(spec.type) ?? 0) + 1);
      for (const type of ['Stage', 'Cutover', 'Rollback', 'Rehearsal']) {
        ports.metrics.set('transship_migrations', counts.get(type) ?? 0, { type });
      }
      if (!isAsked(change)) return [];
      const one = change.now ?? change.before;
      const others = one === undefined ? [] : ofPlan(planKeyOf(one));
      return [keyText(change.key), ...keysOf(others)];
    }),
    watching(informers.volumeTransfers, (change) => {
      tellTransfer(ports, change.before, change.now);
      return migrationOf(change);
    }),
    watching(informers.imageTransfers, migrationOf),
    watching(informers.plans, ({ key, before, now }) => {
      const isOther = before?.metadata.generation !== now?.metadata.generation;
      return isOther ? keysOf(ofPlan(keyText(key))) : [];
    }),
    remotes.source(({ cluster, object }) => {
      if (object !== undefined) return [];
      return keysOf(
        open().filter((one) => {
          const spec = informers.plans.get(parseKey(planKeyOf(one)))?.spec;
          return spec?.source === cluster || spec?.destination === cluster;
        }),
      );
    }),
  ];
}

/** What a person asked for, or that it is over: our own words about it wake nobody. */
function isAsked({ before, now }: Change<Migration>): boolean {
  if (before === undefined || now === undefined) return true;
  const { generation, deletionTimestamp } = now.metadata;
  if (before.metadata.generation !== generation) return true;
  if (before.metadata.deletionTimestamp !== deletionTimestamp) return true;
  return isOpen(before) !== isOpen(now);
}

/** When one comes, goes, ends or is cleaned up; how far it is can wait for the next look. */
function migrationOf({ key, before, now }: Change<Transfer>): readonly string[] {
  if (factsOf(before) === factsOf(now)) return [];
  const name = (now ?? before)?.spec.migration;
  return name === undefined ? [] : [keyText({ namespace: key.namespace, name })];
}

function factsOf(one: Transfer | undefined): string {
  if (one === undefined) return '';
  const conditions = (one.status?.conditions ?? []).map(({ type, status }) => `${type}${status}`);
  return JSON.stringify([one.metadata.deletionTimestamp, conditions, one.metadata.uid]);
}
