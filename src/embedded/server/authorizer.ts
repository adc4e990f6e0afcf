/** Who may do what. The rules are in `rbac.ts`. */
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

export interface Authorizer {
  decide(attributes: Attributes): Decision;
}
