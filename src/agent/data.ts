/** Answers to the `volume.*` operations that move or read much: as jobs, watched or not. */
import type { AgentParts, HandlersOf } from './parts.ts';
import { verifyVolume } from './verify.ts';
import { checkTrace, momentFrom } from './volumes.ts';

type Data = Pick<
  HandlersOf<'volume'>,
  'volume.import' | 'volume.export' | 'volume.verify' | 'volume.replay'
>;

/** Prefetches under way during a replay: enough to keep a link busy, few enough to stop soon. */
const replaysMax = 8;

export function dataHandlers(parts: AgentParts): Data {
  return { ...imageHandlers(parts), ...checkHandlers(parts) };
}

function imageHandlers(parts: AgentParts): Pick<Data, 'volume.import' | 'volume.export'> {
  const { pools, policies, jobs, imports, events } = parts;
  return {
    'volume.import': async (request, { emit, signal }) => {
      const { name, path, format, blockBytes, historyPolicy, pool, update } = request;
      const policy = policies.find(historyPolicy ?? 'none');
      if (update !== true) pools.checkFree(name);
      const chosen = pools.pick(pool);
      const job = jobs.start({ type: 'Import', target: name }, async (control) => {
        const result = await imports.import(
          { name, path, format, blockBytes, policy, pool: chosen, update: update === true },
          control,
        );
        if (historyPolicy !== undefined) {
          policies.assign(pools.locate(name).volume.id, historyPolicy);
        }
        const note = `volume ${name} has the content of ${path}`;
        events.add({ type: 'Information', reason: 'Imported', kind: 'Volume', name, note });
        return result;
      });
      return jobs.watch(job.metadata.name, emit, signal);
    },
    'volume.export': async (request, { emit, signal }) => {
      const { volume, path, format, overwrite } = request;
      const moment = momentFrom(request);
      pools.locate(volume);
      const job = jobs.start({ type: 'Export', target: volume }, (control) =>
        imports.export({ volume, path, format, moment, overwrite: overwrite === true }, control),
      );
      return jobs.watch(job.metadata.name, emit, signal);
    },
  };
}

function checkHandlers(parts: AgentParts): Pick<Data, 'volume.verify' | 'volume.replay'> {
  const { pools, jobs } = parts;
  return {
    // Ends with its watcher: it changes nothing, and nobody else would read its report.
    'volume.verify': async (request, { emit, signal }) => {
      const view = jobs.describe({ type: 'Verify', target: request.volume });
      const progress = (doneBytes: number, totalBytes: number) => {
        emit({ ...view, status: { ...view.status, doneBytes, totalBytes } });
      };
      return verifyVolume(parts, request, { signal, progress });
    },
    'volume.replay': async ({ volume: name, snapshot }, { emit, signal }) => {
      const { volume } = pools.locate(name);
      if (snapshot !== undefined) checkTrace(parts, name, snapshot);
      const ranges = volume.recentUse(snapshot);
      const blockBytes = volume.blockSizeBytes;
      const totalBytes = ranges.reduce((sum, { count }) => sum + count * blockBytes, 0);
      const job = jobs.start({ type: 'Replay', target: name }, async (control) => {
        let doneBytes = 0;
        for (let first = 0; first < ranges.length; first += replaysMax) {
          control.signal.throwIfAborted();
          const some = ranges.slice(first, first + replaysMax);
          await Promise.all(
            some.map(async ({ first: block, count }) => {
              const offset = block * blockBytes;
              const length = Math.min(count * blockBytes, volume.sizeBytes - offset);
              if (length > 0) await volume.prefetch(offset, length);
              doneBytes += count * blockBytes;
            }),
          );
          control.progress(doneBytes, totalBytes);
        }
        return { replayedBytes: totalBytes };
      });
      return jobs.watch(job.metadata.name, emit, signal);
    },
  };
}
