/** Answers to `replica.*`: volumes kept in several pools of one cluster (design.md 4.6). */
import { listOf, type ReplicaSetObject } from '../api/objects.ts';
import { fail } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import type { AgentParts, HandlersOf } from './parts.ts';

export function replicaHandlers(parts: AgentParts): HandlersOf<'replica'> {
  const unknown = async ({ volume }: { readonly volume: string }): Promise<never> => {
    const { cluster } = parts.info;
    fail('NotFound', `${cluster} leads and keeps no replicated volume '${printable(volume)}'`);
  };
  return {
    'replica.lead': unknown,
    'replica.yield': unknown,
    'replica.list': async () => listOf<ReplicaSetObject>('ReplicaSet', []),
    'replica.show': unknown,
    'replica.drop': unknown,
  };
}
