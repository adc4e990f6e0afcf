/** How a client asks for an audit, and what it is told: files in the control modules of rsync. */
import { fail } from '../base/errors.ts';
import type { Reason } from '../base/reasons.ts';
import type { ManifestScope } from './manifest.ts';
import type { AuditSummary } from './mover-messages.ts';

/** Beside the answers: changes while the server works at an audit, this one or one before it. */
export const workedFile = 'worked';

export interface AuditRequest {
  readonly module: string;
  readonly scope: ManifestScope;
}

export type AuditAnswer =
  | { readonly summary: AuditSummary }
  | { readonly reason: Reason; readonly message: string };

/** From the other cluster: nothing is believed. `BadArgument`. */
export function parseAuditRequest(text: string): AuditRequest {
  const { module, scope } = JSON.parse(text) as Partial<AuditRequest>;
  const isScope = typeof scope === 'object' && scope !== null && Array.isArray(scope.excludes);
  if (typeof module !== 'string' || !isScope) {
    return fail('BadArgument', 'a request for an audit names a module and a scope');
  }
  return {
    module,
    scope: {
      verify: scope.verify === true,
      excludes: scope.excludes.map(String),
      ignoreOwners: scope.ignoreOwners === true,
      ignoreDirectoryTimes: scope.ignoreDirectoryTimes === true,
    },
  };
}
