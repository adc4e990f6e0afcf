/**
 * Whether both sides of a Teleport are equal: the fingerprint of a volume is that of its content,
 * and every block was checked against it when it came.
 */
import type { Teleport } from '../../../api/kinds/teleport.ts';
import { type Volume, volumes } from '../../../api/kinds/volume.ts';
import type { Transfer, TransferNumbers } from '../method.ts';

/** Statuses come with a delay: a difference counts when it is still there after this. */
const settleMs = 20_000;

export interface Compared {
  /** Undefined: nobody told a fingerprint. */
  readonly verified: boolean | undefined;
  readonly audit: NonNullable<TransferNumbers['audit']>;
  readonly warnings: readonly string[];
}

/** Undefined: ask again. */
export async function compareRoots(
  { context, source }: Transfer,
  { teleport, volume }: { readonly teleport: Teleport; readonly volume: Volume },
): Promise<Compared | undefined> {
  const { sourceVolume = '', progress, completionTime = '' } = teleport.status ?? {};
  const from = await source.client.get(volumes, { namespace: '', name: sourceVolume });
  const [here, there] = [from?.status?.root, volume.status?.root];
  const bytes = progress?.totalBytes === undefined ? {} : { bytes: progress.totalBytes };
  const audit = {
    source: { ...bytes, ...(here === undefined ? {} : { digest: here }) },
    destination: { ...bytes, ...(there === undefined ? {} : { digest: there }) },
  };
  if (here !== undefined && here === there) return { verified: true, audit, warnings: [] };
  const sinceMs = context.ports.clock.wallMs() - Date.parse(completionTime);
  if (sinceMs < settleMs) return undefined;
  if (here === undefined || there === undefined) {
    const missing = here === undefined ? source.name : 'the destination';
    const warnings = [`${missing} has told no fingerprint of the volume, so nothing was compared`];
    return { verified: undefined, audit, warnings };
  }
  return { verified: false, audit, warnings: ['the source was written to after it was copied'] };
}
