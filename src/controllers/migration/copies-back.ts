/** What a rollback copies back: the last copies of its cutover, the other way round. */
import { type VolumeTransfer, type VolumeTransferSpec } from '../../api/kinds/volume-transfer.ts';
import { temporaryClaim } from './choices.ts';
import { cutoverOf } from './cutover.ts';
import type { Run } from './run.ts';
import { hasSucceeded, transferName, transfersOf } from './transfers.ts';

export interface CopyBack {
  readonly name: string;
  readonly spec: Omit<VolumeTransferSpec, 'migration'>;
  /** The claim at the source that the data is for. */
  readonly claim: { readonly namespace: string; readonly name: string };
  /** It is written into the volume of that claim; else a new one takes the place of its volume. */
  readonly isInPlace: boolean;
}

/** Empty when there is no cutover to go back from. */
export async function copiesBack(run: Run): Promise<readonly CopyBack[]> {
  const migration = cutoverOf(run);
  if (migration === undefined) return [];
  const made = await transfersOf({ context: run.context, migration }, 'l');
  return made
    .filter((one) => hasSucceeded(one) && one.spec.action !== 'Move')
    .map((one) => copyBack(run, one));
}

function copyBack(run: Run, { spec, status }: VolumeTransfer): CopyBack {
  const { source, destination, repository } = spec;
  const { namespace, claim } = source;
  const isConversion = run.type === 'StorageConversion';
  const { method } = status ?? {};
  const isInPlace = !isConversion && method !== 'Teleport' && method !== 'Snapshot';
  const temporary = temporaryClaim(run, claim);
  return {
    name: transferName(run, 'b', source),
    claim: { namespace, name: claim },
    isInPlace,
    spec: {
      source: {
        cluster: destination.cluster,
        namespace: destination.namespace,
        // A conversion has swapped its claim to the name that people know.
        claim: isConversion ? claim : destination.claim,
      },
      destination: {
        cluster: source.cluster,
        namespace,
        claim: isInPlace ? claim : temporary,
      },
      ...(status?.method === undefined || isConversion ? {} : { method: status.method }),
      ...(repository === undefined ? {} : { repository }),
      // The volume of before gets a claim of that name: what it has is brought up to date.
      ...(isInPlace || isConversion ? { overwrite: true } : {}),
      pass: 'Last',
      verify: spec.verify === true,
    },
  };
}
