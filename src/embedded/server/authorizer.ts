/** Who may do what. The rules are in `rbac.ts`. */
import type { JsonObject } from '../schema/api.ts';
import type { UserInfo } from './api.ts';

export interface Attributes {
  readonly user: UserInfo;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** For what is no resource: the path. */
  readonly path: string | undefined;
}

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

/** What a rule of a role says; `rbac.ts` tells what it allows. */
export interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

export interface Authorizer {
  decide(attributes: Attributes): Decision;
  /** Everything the user may do in a namespace; '': in the whole cluster. */
  rules(user: UserInfo, namespace: string): readonly Rule[];
  /** The rules behind a `roleRef`; undefined when there is no such role. */
  referenced(roleRef: JsonObject, namespace: string): readonly Rule[] | undefined;
}
