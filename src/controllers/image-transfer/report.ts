/** The status of an image transfer. Pure. */
import type { ImageTransfer, ImageTransferStatus } from '../../api/kinds/image-transfer.ts';
import type { TransshipError } from '../../base/errors.ts';
import { formatMoment, formatSize } from '../../base/units.ts';
import type { CopiedImage, ImageProgress } from '../../images/images.ts';
import { condition, type Report } from '../status.ts';

type Fields = Omit<ImageTransferStatus, 'conditions' | 'observedGeneration'>;

function known({ status }: ImageTransfer): Fields {
  const { conditions: _conditions, observedGeneration: _seen, ...fields } = status ?? {};
  return fields;
}

export function isOver({ status }: ImageTransfer): boolean {
  const { phase } = status ?? {};
  return phase === 'Succeeded' || phase === 'Failed' || phase === 'Canceled';
}

export function progressFields(progress: ImageProgress | undefined, rate: number): Fields {
  if (progress === undefined) return {};
  const { totalBytes, presentBytes, wireBytes, layers, layersPresent } = progress;
  const copiedBytes = Math.min(totalBytes, presentBytes + progress.copiedBytes);
  const percent = totalBytes === 0 ? 0 : Math.floor((100 * copiedBytes) / totalBytes);
  return {
    totalBytes,
    copiedBytes,
    wireBytes,
    layers,
    layersPresent,
    percent,
    progress: `${percent}%`,
    bytesPerSecond: rate,
    rate: rate === 0 ? '' : `${formatSize(rate)}/s`,
  };
}

/** Nothing runs: it waits for its turn, or for the next attempt. */
export function pendingReport(object: ImageTransfer, blocker: TransshipError | undefined): Report {
  const { rate: _rate, bytesPerSecond: _bytes, ...fields } = known(object);
  const message = 'others are copied first';
  return {
    conditions: [
      blocker === undefined
        ? condition('Ready', true, 'Pending', message)
        : condition('Ready', false, blocker.reason, blocker.message),
      condition('Succeeded', 'Unknown', blocker?.reason ?? 'Pending', blocker?.message ?? message),
    ],
    fields: { ...fields, phase: 'Pending' },
  };
}

export function runningReport(
  object: ImageTransfer,
  progress: Fields,
  elapsedSeconds: number,
): Report {
  return {
    conditions: [
      condition('Ready', true, 'Running', 'both registries are known'),
      condition('Succeeded', 'Unknown', 'Running', 'it is being copied'),
    ],
    fields: { ...known(object), phase: 'Running', ...progress, elapsedSeconds },
  };
}

export interface Ended {
  readonly wallMs: number;
  readonly elapsedSeconds: number;
}

export function succeededReport(
  object: ImageTransfer,
  image: CopiedImage,
  { wallMs, elapsedSeconds }: Ended,
): Report {
  const bytes = image.copiedBytes + image.presentBytes;
  const moved = `${formatSize(image.copiedBytes)} of ${formatSize(bytes)} had to move`;
  const foreign =
    image.layersForeign === 0 ? '' : `; ${image.layersForeign} layers stay where they are from`;
  const average = elapsedSeconds === 0 ? 0 : Math.round(image.copiedBytes / elapsedSeconds);
  return {
    conditions: [
      condition('Ready', true, 'Succeeded', 'it has ended'),
      condition('Succeeded', true, 'Succeeded', `${moved}${foreign}`),
    ],
    fields: {
      ...known(object),
      ...progressFields(image, average),
      percent: 100,
      progress: '100%',
      phase: 'Succeeded',
      digest: image.digest,
      elapsedSeconds,
      completionTime: formatMoment(wallMs),
    },
  };
}

export function failedReport(
  object: ImageTransfer,
  { reason, message }: TransshipError,
  { wallMs, elapsedSeconds }: Ended,
): Report {
  return {
    conditions: [
      condition('Ready', false, reason, message),
      condition('Succeeded', false, reason, message),
    ],
    fields: {
      ...known(object),
      phase: 'Failed',
      elapsedSeconds,
      completionTime: formatMoment(wallMs),
    },
  };
}
