/** Classes, claims, images and host names by what they are called at the destination. */
import type { KubeObject } from '../kube/objects.ts';
import { changeAt, each, type FieldPath, pathText, withAt } from './fields.ts';
import { createImageRewriter } from './images.ts';
import { groupOf } from './names.ts';
import { containerPaths, isClaimOfSet, podSpecPaths } from './pod-specs.ts';
import type { ClaimChange, Draft, Step, TransformContext } from './transform-context.ts';

/** Replaces text at the path by what the map says of it, and tells. */
function mapText(
  draft: Draft,
  path: FieldPath,
  what: string,
  to: (text: string) => string | undefined,
): KubeObject {
  return changeAt(draft.object, path, (value, place) => {
    const next = typeof value === 'string' ? to(value) : undefined;
    if (next === undefined || next === value) return value;
    draft.note('Mapped', pathText(place), `${what} ${String(value)} is ${next} there`);
    return next;
  });
}

type Names = Readonly<Record<string, string>>;

const lookUp =
  (names: Names = {}) =>
  (text: string): string | undefined =>
    Object.hasOwn(names, text) ? names[text] : undefined;

const isClaim = ({ apiVersion, kind }: KubeObject): boolean =>
  apiVersion === 'v1' && kind === 'PersistentVolumeClaim';

/** The user's word on one claim is stronger than the map of classes. */
export const mapClaim: Step = (draft, { claims = {} }) => {
  const { object, note } = draft;
  const { namespace = '', name = '' } = object.metadata;
  const key = `${namespace}/${name}`;
  if (!isClaim(object) || !Object.hasOwn(claims, key)) return object;
  const change: ClaimChange = claims[key] ?? {};
  const fields: readonly (readonly [FieldPath, unknown])[] = [
    [['metadata', 'name'], change.name],
    [['spec', 'storageClassName'], change.storageClass],
    [['spec', 'accessModes'], change.accessModes],
    [['spec', 'volumeMode'], change.volumeMode],
    [['spec', 'volumeName'], change.volumeName],
  ];
  return fields.reduce((out, [path, to]) => {
    if (to === undefined) return out;
    note('Changed', pathText(path), `the plan sets it to ${JSON.stringify(to)}`);
    return withAt(out, path, to);
  }, object);
};

const ephemeralClass: FieldPath = `volumes/${each}/ephemeral/volumeClaimTemplate/spec`
  .split('/')
  .concat('storageClassName');

export const mapClasses: Step = (draft, context) => {
  const storage = lookUp(context.storageClasses);
  const { namespace = '', name = '' } = draft.object.metadata;
  const own = context.claims?.[`${namespace}/${name}`]?.storageClass;
  const claims: readonly FieldPath[] = [
    ...(isClaim(draft.object) && own === undefined ? [['spec', 'storageClassName']] : []),
    ['spec', 'volumeClaimTemplates', each, 'spec', 'storageClassName'],
    ...podSpecPaths(draft.object).map((path) => [...path, ...ephemeralClass]),
  ];
  let { object } = draft;
  for (const path of claims) object = mapText({ ...draft, object }, path, 'storage class', storage);
  for (const path of podSpecPaths(object)) {
    const priority = [...path, 'priorityClassName'];
    const to = lookUp(context.priorityClasses);
    object = mapText({ ...draft, object }, priority, 'priority class', to);
  }
  if (object.kind !== 'Ingress') return object;
  const paths = [
    ['spec', 'ingressClassName'],
    ['metadata', 'annotations', 'kubernetes.io/ingress.class'],
  ];
  for (const path of paths) {
    const to = lookUp(context.ingressClasses);
    object = mapText({ ...draft, object }, path, 'ingress class', to);
  }
  return object;
};

/** Claims by their new names, in pods and templates. Claims of a StatefulSet keep theirs. */
export const mapClaimUses: Step = (draft, { claims = {} }) => {
  const { namespace = '' } = draft.object.metadata;
  const renamed = (claim: string): string | undefined => claims[`${namespace}/${claim}`]?.name;
  let { object } = draft;
  for (const path of podSpecPaths(object)) {
    const at = [...path, 'volumes', each, 'persistentVolumeClaim', 'claimName'];
    object = mapText({ ...draft, object }, at, 'claim', renamed);
  }
  if (object.kind !== 'StatefulSet') return object;
  for (const [key, { name }] of Object.entries(claims)) {
    const claim = key.slice(namespace.length + 1);
    if (!key.startsWith(`${namespace}/`) || name === undefined || name === claim) continue;
    if (!isClaimOfSet(object, claim)) continue;
    const message = `it looks for claim ${claim}, which the plan renames to ${name}`;
    const remedy = 'Keep the names of claims that a StatefulSet makes.';
    draft.note('Refused', 'spec.volumeClaimTemplates', message, remedy);
  }
  return object;
};

export function mapImages(context: TransformContext): Step {
  const rewrite = createImageRewriter(context.images ?? []);
  return (draft) =>
    containerPaths(draft.object).reduce(
      (object, path) => mapText({ ...draft, object }, [...path, 'image'], 'image', rewrite),
      draft.object,
    );
}

const hostPaths: Readonly<Record<string, readonly FieldPath[]>> = {
  'networking.k8s.io': [
    ['spec', 'rules', each, 'host'],
    ['spec', 'tls', each, 'hosts', each],
  ],
  'route.openshift.io': [['spec', 'host']],
  'gateway.networking.k8s.io': [
    ['spec', 'hostnames', each],
    ['spec', 'listeners', each, 'hostname'],
  ],
  'networking.istio.io': [
    ['spec', 'hosts', each],
    ['spec', 'servers', each, 'hosts', each],
  ],
  'cert-manager.io': [
    ['spec', 'dnsNames', each],
    ['spec', 'commonName'],
  ],
};

/** An exact name first, then the longest ending. */
function hostOf(hosts: Names): (host: string) => string | undefined {
  const exact = lookUp(hosts);
  const endings = Object.keys(hosts)
    .filter((one) => one.startsWith('.'))
    .toSorted((a, b) => b.length - a.length);
  return (host) => {
    const ending = endings.find((one) => host.endsWith(one));
    const byEnding =
      ending === undefined ? undefined : `${host.slice(0, -ending.length)}${hosts[ending]}`;
    return exact(host) ?? byEnding;
  };
}

export const mapHosts: Step = (draft, { hosts }) => {
  if (hosts === undefined) return draft.object;
  const paths = hostPaths[groupOf(draft.object.apiVersion)] ?? [];
  return paths.reduce(
    (object, path) => mapText({ ...draft, object }, path, 'host', hostOf(hosts)),
    draft.object,
  );
};
