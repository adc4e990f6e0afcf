/** Makes a Repository known to the agents of this cluster, and asks one what it holds. */
import type { Repository, RepositoryStatus } from '../../api/kinds/repository.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { Context } from '../context.ts';
import { condition, type Report } from '../status.ts';
import { accessOf } from './access.ts';

export interface Told {
  readonly known: Report['conditions'][number];
  /** Undefined: nobody could say. */
  readonly counts: Pick<RepositoryStatus, 'versions' | 'chunks' | 'savingPermille'> | undefined;
}

export async function tellAgents(context: Context, repository: Repository): Promise<Told> {
  const { name = '' } = repository.metadata;
  const mirrors = context.agents.all;
  if (mirrors.length === 0) {
    const message = 'this cluster has no agents, so no volumes of Transship';
    return { known: condition('Known', false, 'NoAgents', message), counts: undefined };
  }
  try {
    const access = await accessOf(context, repository);
    for (const mirror of mirrors) await mirror.call('repository.add', access);
    const { status } = await mirrors[0]!.call('repository.show', { name });
    const known = condition('Known', true, 'Known', 'agents can save volumes there');
    return { known, counts: countsOf(status) };
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    return { known: condition('Known', false, reason, message), counts: undefined };
  }
}

function countsOf(
  status:
    | {
        readonly versions: number;
        readonly chunks: number;
        readonly storedBytes: number;
        readonly logicalBytes: number;
      }
    | undefined,
): Told['counts'] {
  if (status === undefined) return undefined;
  const { versions, chunks, storedBytes, logicalBytes } = status;
  const saving = storedBytes === 0 ? 1000 : Math.round((1000 * logicalBytes) / storedBytes);
  return { versions, chunks, savingPermille: saving };
}
