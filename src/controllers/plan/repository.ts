/** The Repository that a plan names, as each of its clusters sees it. */
import { repositories, type Repository } from '../../api/kinds/repository.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { Context } from '../context.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import { conditionOf } from '../status.ts';
import type { SeenRepository } from './observation.ts';

/** Undefined: the plan names none. */
export async function lookAtRepository(
  { informers }: Context,
  { spec }: Plan,
  sides: readonly (ClusterAccess | undefined)[],
): Promise<SeenRepository | undefined> {
  const { repository: name } = spec;
  if (name === undefined) return undefined;
  const own = informers.repositories.get({ namespace: '', name });
  if (own === undefined) return { name, exists: false, isTried: false, troubles: [] };
  const troubles = [...troublesOf(own, 'the hub')];
  for (const side of sides) {
    if (side !== undefined) troubles.push(...(await troublesAt(side, own)));
  }
  const isTried = conditionOf(own, 'Ready') !== undefined;
  return { name, exists: true, isTried, troubles };
}

/** A copy comes there with the first volume: until then there is nothing to be seen. */
async function troublesAt(
  { client, name: cluster }: ClusterAccess,
  own: Repository,
): Promise<readonly string[]> {
  try {
    const { name = '', uid } = own.metadata;
    const there = await client.get(repositories, { namespace: '', name });
    const isOwn = there?.metadata.uid === uid;
    return there === undefined || isOwn ? [] : troublesOf(there, `cluster ${cluster}`);
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    // Whoever may not look may not copy it there either: it is of use to files alone.
    if (reason !== 'Forbidden' && reason !== 'NotFound') throw error;
    return [`cluster ${cluster} does not let us look at its repositories: ${message}`];
  }
}

function troublesOf(repository: Repository, where: string): readonly string[] {
  const { name } = repository.metadata;
  return ['Ready', 'Known'].flatMap((type) => {
    const found = conditionOf(repository, type);
    // A hub without agents saves no volumes itself.
    if (found?.status !== 'False' || found.reason === 'NoAgents') return [];
    return [`Repository ${name}, as seen from ${where}: ${found.message}`];
  });
}
