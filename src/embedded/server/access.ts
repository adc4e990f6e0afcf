/** Who asks, and may they? */
import type { KubeRequest } from '../../kube/transport.ts';
import type { ApiServerOptions, UserInfo } from './api.ts';
import type { Attributes, Authorizer } from './authorizer.ts';
import type { RequestInfo, Target } from './request.ts';
import { badRequest, failure, forbidden } from './status.ts';
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

/**
 * The user of the `Impersonate-…` headers, where somebody asks in another's name and may (verb
 * `impersonate` of users, groups and service accounts). Throws 403.
 */
export function impersonated(authorizer: Authorizer, user: UserInfo, info: RequestInfo): UserInfo {
  const { headers } = info.request;
  const name = headers['impersonate-user'] ?? '';
  const groups = (headers['impersonate-group'] ?? '').split(',').map((group) => group.trim());
  const wanted = groups.filter((group) => group !== '');
  if (name === '') {
    if (wanted.length === 0) return user;
    throw badRequest('requested groups without impersonating a user');
  }
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  const asked = [
    account === null
      ? { resource: 'users', namespace: '', name }
      : { resource: 'serviceaccounts', namespace: account[1] ?? '', name: account[2] ?? '' },
    ...wanted.map((group) => ({ resource: 'groups', namespace: '', name: group })),
  ];
  const may = asked.every((one) => {
    const attributes = { ...noResource, ...one, user, verb: 'impersonate', path: undefined };
    return authorizer.decide(attributes).allowed;
  });
  if (!may) throw refusal(user, info, `impersonate-on:user-info:${info.target?.verb ?? 'get'}`);
  const own =
    account === null ? [] : ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`];
  return authenticated({ name, groups: [...wanted, ...own] });
}

/** Throws 403 with the words of Kubernetes: clients read the missing rule out of them. */
export function requireAllowed(authorizer: Authorizer, user: UserInfo, info: RequestInfo): void {
  const asked = attributesOf(user, info, info.target);
  const { allowed } = authorizer.decide(asked);
  if (!allowed) throw refusal(user, info, asked.verb);
}

/** 403, naming the verb that is missing. */
function refusal(user: UserInfo, info: RequestInfo, verb: string): Error {
  const { target } = info;
  const asked = attributesOf(user, info, target);
  const who = `User ${JSON.stringify(user.name)}`;
  if (target === undefined) {
    const message = `forbidden: ${who} cannot ${verb} path ${JSON.stringify(info.path)}`;
    return failure({ code: 403, reason: 'Forbidden', message, details: {} });
  }
  const { group, plural, subresource } = target;
  const { namespace, name } = asked;
  const resource = subresource === '' ? plural : `${plural}/${subresource}`;
  const where =
    namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = `cannot ${verb} resource "${resource}" in API group "${group}"`;
  return forbidden({ group, plural }, name, `${who} ${what} ${where}`);
}

function attributesOf(user: UserInfo, info: RequestInfo, target: Target | undefined): Attributes {
  if (target === undefined) {
    const method = info.request.method.toLowerCase();
    const verb = { post: 'create', put: 'update' }[method] ?? method;
    return { ...noResource, user, verb: method === 'get' ? 'get' : verb, path: info.path };
  }
  const { verb, group, version, plural, subresource } = target;
  const { namespace, name } = placeOf(info, target);
  const place = { group, version, resource: plural, subresource, namespace, name };
  return { user, verb, ...place, path: undefined };
}

/**
 * A namespace is in itself; a list of one name is as good as that name (Kubernetes, "RequestInfo").
 */
function placeOf({ query }: RequestInfo, target: Target): Pick<Target, 'namespace' | 'name'> {
  const { group, plural, namespace, name } = target;
  if (group === '' && plural === 'namespaces') return { namespace: name, name };
  if (name !== '' || target.verb === 'create') return { namespace, name };
  const selected = /^metadata\.name==?([^,=!]+)$/.exec(query.get('fieldSelector') ?? '');
  return { namespace, name: selected?.[1] ?? '' };
}

const noResource = {
  group: '',
  version: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
} as const;
