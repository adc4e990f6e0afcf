/**
 * ControllerRevisions: the templates a StatefulSet or DaemonSet had, so that `kubectl rollout
 * history` and `undo` work. The data is the patch that brings a template back.
 */
import { ownerReference } from '../../../kube/api.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import type { LabelSelector } from '../../../kube/selectors.ts';
import { type ControllerRevision, controllerRevisions } from '../../../kube/workloads.ts';
import { type Action, type View, create, patch, remove } from '../controller.ts';
import type { PodTemplate } from '../kinds/pods.ts';
import { claim } from '../ownership.ts';
import { canonical, contentHash } from './hash.ts';

type Owner = KubeObject & {
  readonly spec: {
    readonly selector: LabelSelector;
    readonly template: PodTemplate;
    readonly revisionHistoryLimit?: number;
  };
  readonly status?: { readonly collisionCount?: number };
};

export interface Revisions {
  /** Oldest first. */
  readonly all: readonly ControllerRevision[];
  /** The one of the current template: its name, also before it exists. */
  readonly updateName: string;
  /** What must be done before `updateName` can be used. */
  readonly actions: readonly Action[];
}

export function observeRevisions(view: View, owner: Owner): Revisions {
  const namespace = owner.metadata.namespace ?? '';
  const listed = view.list(controllerRevisions, namespace);
  const { mine, actions } = claim(controllerRevisions, owner, listed);
  const all = mine.toSorted((a, b) => a.revision - b.revision);
  const data = dataOf(owner.spec.template);
  const existing = all.findLast((one) => canonical(one.data) === canonical(data));
  const highest = all.at(-1)?.revision ?? 0;
  if (existing !== undefined) {
    const isNewest = existing.revision === highest;
    const raise = isNewest ? [] : [patch(controllerRevisions, existing, { revision: highest + 1 })];
    const updateName = existing.metadata.name ?? '';
    return { all, updateName, actions: [...actions, ...raise] };
  }
  const hash = contentHash(data, owner.status?.collisionCount ?? 0);
  const updateName = `${owner.metadata.name}-${hash}`;
  const made = create(controllerRevisions, {
    metadata: {
      name: updateName,
      namespace,
      labels: { ...owner.spec.template.metadata?.labels, 'controller-revision-hash': hash },
      annotations: changeCause(owner),
      ownerReferences: [ownerReference(owner)],
    },
    data,
    revision: highest + 1,
  });
  return { all, updateName, actions: [...actions, made] };
}

/** `kubectl rollout history` shows it. */
function changeCause(owner: KubeObject): Record<string, string> {
  const name = 'kubernetes.io/change-cause';
  const cause = owner.metadata.annotations?.[name];
  return cause === undefined ? {} : { [name]: cause };
}

function dataOf(template: PodTemplate): { readonly spec: { readonly template: object } } {
  return { spec: { template: { ...template, $patch: 'replace' } } };
}

/** The template a revision keeps. */
export function templateOf(revision: ControllerRevision | undefined): PodTemplate | undefined {
  const data = revision?.data as { readonly spec?: { readonly template?: object } } | undefined;
  if (data?.spec?.template === undefined) return undefined;
  const { $patch: _patch, ...template } = data.spec.template as { readonly $patch?: string };
  return template as PodTemplate;
}

/** Those beyond the history limit that no pod and no status names. */
export function spareRevisions(
  owner: Owner,
  all: readonly ControllerRevision[],
  live: ReadonlySet<string>,
): readonly Action[] {
  const { revisionHistoryLimit = 10 } = owner.spec;
  const idle = all.filter((one) => !live.has(one.metadata.name ?? ''));
  const spare = Math.max(0, idle.length - revisionHistoryLimit);
  return idle.slice(0, spare).map((one) => remove(controllerRevisions, one));
}
