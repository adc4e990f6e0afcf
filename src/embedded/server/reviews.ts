/** Questions about rights and identities: resources that are only ever created, never stored. */
import type { KubeResponse } from '../../kube/transport.ts';
import type { JsonObject } from '../schema/api.ts';
import type { UserInfo } from './api.ts';
import { authenticated } from './access.ts';
import type { Attributes, Rule } from './authorizer.ts';
import { bodyObject } from './body.ts';
import { objectAt, textAt, textsAt } from './json.ts';
import type { Kernel } from './kernel.ts';
import type { RequestInfo, Target } from './request.ts';
import { objectResponse } from './response.ts';
import { badRequest, methodNotAllowed } from './status.ts';
import { defaultAudience } from './tokens.ts';

export interface ReviewKind {
  readonly group: string;
  readonly version: 'v1';
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

function review(group: string, kind: string, namespaced = false): ReviewKind {
  const singular = kind.toLowerCase();
  return { group, version: 'v1', plural: `${singular}s`, singular, kind, namespaced };
}

const authorization = 'authorization.k8s.io';
const authentication = 'authentication.k8s.io';

export const reviewKinds: readonly ReviewKind[] = [
  review(authentication, 'SelfSubjectReview'),
  review(authentication, 'TokenReview'),
  review(authorization, 'LocalSubjectAccessReview', true),
  review(authorization, 'SelfSubjectAccessReview'),
  review(authorization, 'SelfSubjectRulesReview'),
  review(authorization, 'SubjectAccessReview'),
];

export function findReview({ group, version, plural }: Target): ReviewKind | undefined {
  return reviewKinds.find(
    (kind) => kind.group === group && kind.version === version && kind.plural === plural,
  );
}

export interface ReviewCall {
  readonly kernel: Kernel;
  readonly info: RequestInfo;
  readonly target: Target;
  readonly user: UserInfo;
}

export function answerReview(call: ReviewCall, kind: ReviewKind): KubeResponse {
  const { target } = call;
  if (target.verb !== 'create' || target.name !== '') throw methodNotAllowed();
  if (kind.namespaced && target.namespace === '') throw methodNotAllowed();
  const body = bodyObject(call.info) ?? {};
  const spec = objectAt(body, 'spec');
  return objectResponse(201, {
    kind: kind.kind,
    apiVersion: `${kind.group}/${kind.version}`,
    metadata: { creationTimestamp: null, ...objectAt(body, 'metadata') },
    ...(kind.kind === 'SelfSubjectReview' ? {} : { spec }),
    status: statusOf(call, kind, spec),
  });
}

function statusOf(call: ReviewCall, kind: ReviewKind, spec: JsonObject): JsonObject {
  switch (kind.kind) {
    case 'SelfSubjectReview':
      return { userInfo: userObject(call.user) };
    case 'TokenReview':
      return tokenStatus(call.kernel, spec);
    case 'SelfSubjectRulesReview':
      return rulesStatus(call, spec);
    case 'SelfSubjectAccessReview':
      return decisionFor(call.kernel, call.user, spec);
    default:
      return subjectStatus(call, kind, spec);
  }
}

function userObject(user: UserInfo): JsonObject {
  const { name, uid, groups } = user;
  return { username: name, ...(uid === undefined ? {} : { uid }), groups: [...groups] };
}

function tokenStatus(kernel: Kernel, spec: JsonObject): JsonObject {
  const asked = textsAt(spec, 'audiences');
  const audiences = asked.length === 0 ? [defaultAudience] : asked;
  const known = kernel.identify(textAt(spec, 'token'));
  const shared = known?.audiences.filter((one) => audiences.includes(one)) ?? [];
  if (known === undefined || shared.length === 0) {
    return { user: {}, error: 'invalid bearer token' };
  }
  return { authenticated: true, user: userObject(authenticated(known.user)), audiences: shared };
}

function subjectStatus(call: ReviewCall, kind: ReviewKind, spec: JsonObject): JsonObject {
  const name = textAt(spec, 'user');
  const groups = textsAt(spec, 'groups');
  if (name === '' && groups.length === 0) {
    throw badRequest(`${kind.kind}: spec.user: at least one of user or group must be specified`);
  }
  const place = objectAt(spec, 'resourceAttributes');
  if (kind.namespaced && textAt(place, 'namespace') !== call.target.namespace) {
    throw badRequest('spec.resourceAttributes.namespace must match the namespace of the request');
  }
  return decisionFor(call.kernel, { name, groups }, spec);
}

function decisionFor(kernel: Kernel, user: UserInfo, spec: JsonObject): JsonObject {
  const resource = objectAt(spec, 'resourceAttributes');
  const path = objectAt(spec, 'nonResourceAttributes');
  if ('resourceAttributes' in spec === 'nonResourceAttributes' in spec) {
    throw badRequest(
      'spec: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    );
  }
  const isPath = 'nonResourceAttributes' in spec;
  const asked: Attributes = {
    user,
    verb: textAt(isPath ? path : resource, 'verb'),
    group: textAt(resource, 'group'),
    version: textAt(resource, 'version'),
    resource: textAt(resource, 'resource'),
    subresource: textAt(resource, 'subresource'),
    namespace: textAt(resource, 'namespace'),
    name: textAt(resource, 'name'),
    path: isPath ? textAt(path, 'path') : undefined,
  };
  const { allowed, reason } = kernel.authorizer.decide(asked);
  return { allowed, ...(reason === '' ? {} : { reason }) };
}

function rulesStatus({ kernel, user }: ReviewCall, spec: JsonObject): JsonObject {
  const namespace = textAt(spec, 'namespace');
  if (namespace === '') throw badRequest('no namespace on request');
  const rules = kernel.authorizer.rules(user, namespace);
  const ofResources = rules.filter((rule) => rule.resources.length > 0);
  const ofPaths = rules.filter((rule) => rule.nonResourceURLs.length > 0);
  return {
    resourceRules: ofResources.map(resourceRule),
    nonResourceRules: ofPaths.map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: false,
  };
}

function resourceRule({ verbs, apiGroups, resources, resourceNames }: Rule): JsonObject {
  const names = resourceNames.length === 0 ? {} : { resourceNames };
  return { verbs, apiGroups, resources, ...names };
}
