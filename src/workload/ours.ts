/** What we put into the namespaces of people while something moves: never copied, no writer. */
import type { KubeObject } from '../kube/objects.ts';
import { textAt } from './fields.ts';

/** On pods, Jobs, Secrets and ConfigMaps that help to move. */
export const ourLabels = {
  /** Helpers of one copy of a volume: uid of its VolumeTransfer. */
  transfer: 'transship.dev/transfer',
  /** Jobs and pods that run a hook: its name. */
  hook: 'transship.dev/hook',
  /** What a migration made for itself: its uid. */
  migration: 'transship.dev/migration',
} as const;

/** Secrets with undo records have names that begin so. */
export const recordPrefix = 'transship-undo-';

/** Secrets with passwords of what volumes have in repositories, too. */
export const repositoryPrefix = 'transship-repository-';

/** The ResourceQuota that keeps new pods out of a namespace that is at rest. */
export const fenceName = 'transship-fence';

/** What lets a hub move a namespace is bound in the namespace itself; it is of that cluster. */
export const migrateRole = 'transship-migrate';

/** Claims are data and belong to the people, whoever made them. */
export function isOurs(object: KubeObject): boolean {
  const { kind, metadata } = object;
  const { name = '', labels = {} } = metadata;
  if (kind === 'PersistentVolumeClaim' || kind === 'PersistentVolume') return false;
  const isSecret = kind === 'Secret';
  if (isSecret && name.startsWith(recordPrefix)) return true;
  if (isSecret && name.startsWith(repositoryPrefix)) return true;
  if (kind === 'ResourceQuota' && name === fenceName) return true;
  if (kind === 'RoleBinding' && textAt(object, 'roleRef', 'name') === migrateRole) return true;
  return Object.values(ourLabels).some((label) => Object.hasOwn(labels, label));
}
