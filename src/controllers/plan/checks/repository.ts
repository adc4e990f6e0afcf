/** The repository that a plan names, and whether volumes need it. */
import type { Check } from './check.ts';

export const repositoryChecks: readonly Check[] = [
  {
    id: 'InvalidRepository',
    category: 'Critical',
    remedy: 'Make it with `transship repository add`, or correct spec.repository.',
    find: ({ seen: { repository } }) => {
      if (repository === undefined || repository.exists) return [];
      return [`there is no Repository ${repository.name}`];
    },
  },
  {
    id: 'RepositoryNotReady',
    category: 'Warning',
    remedy: 'See `transship repository check`; volumes with a direct way do not need it.',
    find: ({ seen: { repository } }) => {
      if (repository === undefined || !repository.exists) return [];
      return repository.isTried ? repository.troubles : undefined;
    },
  },
  {
    id: 'NoLink',
    category: 'Warning',
    remedy: 'Join the clusters with `transship cluster add`, or name a Repository in the plan.',
    find: ({ seen, volumes }) => {
      const { repository, source, destination } = seen;
      const peers = destination.peers;
      if (peers === undefined || source.name === destination.name) return [];
      const isUsable = repository?.isTried === true && repository.troubles.length === 0;
      if (peers.includes(source.name) || isUsable) return [];
      return volumes
        .filter(({ choice }) => choice.method === 'Teleport')
        .map(({ claim }) => {
          const why = `${destination.name} has not joined ${source.name}`;
          return `claim ${claim} would teleport, and ${why}`;
        });
    },
  },
];
