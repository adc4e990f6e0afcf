/** Who asks, and may they? */
import type { KubeRequest } from '../../kube/transport.ts';
import type { ApiServerOptions, UserInfo } from './api.ts';
import type { Attributes, Authorizer } from './authorizer.ts';
import type { RequestInfo, Target } from './request.ts';
import { failure, forbidden } from './status.ts';
import { defaultAudience, type TokenIdentity, type TokenIssuer } from './tokens.ts';

const everybody = 'system:authenticated';

/** The user with the group that everybody is in who proved who they are. */
export function authenticated(user: UserInfo): UserInfo {
  if (user.groups.includes(everybody)) return user;
  return { ...user, groups: [...user.groups, everybody] };
}

/** Whom a bearer token stands for: a service account, or somebody the options know. */
export function makeIdentify(
  issuer: TokenIssuer,
  authenticate: ApiServerOptions['authenticate'],
): (token: string) => TokenIdentity | undefined {
  return (token) => {
    const account = issuer.verify(token);
    if (account !== undefined) return account;
    const user = authenticate?.(token);
    return user === undefined ? undefined : { user, audiences: [defaultAudience] };
  };
}

/** Undefined: the request proves nothing. */
export function userOf(
  request: KubeRequest,
  proven: UserInfo | undefined,
  identify: (token: string) => TokenIdentity | undefined,
): UserInfo | undefined {
  if (proven !== undefined) return authenticated(proven);
  const found = /^bearer\s+(\S+)$/i.exec(request.headers['authorization'] ?? '');
  const token = found?.[1];
  const known = token === undefined ? undefined : identify(token);
  if (known === undefined || !known.audiences.includes(defaultAudience)) return undefined;
  return authenticated(known.user);
}

/** Throws 403 with the words of Kubernetes: clients read the missing rule out of them. */
export function requireAllowed(authorizer: Authorizer, user: UserInfo, info: RequestInfo): void {
  const { target } = info;
  const asked = attributesOf(user, info, target);
  const { allowed } = authorizer.decide(asked);
  if (allowed) return;
  const who = `User ${JSON.stringify(user.name)}`;
  if (target === undefined) {
    const message = `forbidden: ${who} cannot ${asked.verb} path ${JSON.stringify(info.path)}`;
    throw failure({ code: 403, reason: 'Forbidden', message, details: {} });
  }
  const { verb, group, plural, subresource, namespace, name } = target;
  const resource = subresource === '' ? plural : `${plural}/${subresource}`;
  const where =
    namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = `cannot ${verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)}`;
  throw forbidden({ group, plural }, name, `${who} ${what} ${where}`);
}

function attributesOf(user: UserInfo, info: RequestInfo, target: Target | undefined): Attributes {
  if (target === undefined) {
    const method = info.request.method.toLowerCase();
    const verb = { post: 'create', put: 'update' }[method] ?? method;
    return { ...noResource, user, verb: method === 'get' ? 'get' : verb, path: info.path };
  }
  const { verb, group, version, plural, subresource, namespace, name } = target;
  const place = { group, version, resource: plural, subresource, namespace, name };
  return { user, verb, ...place, path: undefined };
}

const noResource = {
  group: '',
  version: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
} as const;
