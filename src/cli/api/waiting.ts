/** Waiting for objects to become what a command asked for; Ctrl-C stops waiting, not the work. */
import { fail } from '../../base/errors.ts';
import type { Reason } from '../../base/reasons.ts';
import { isReason } from '../../base/reasons.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createInformer } from '../../kube/informer.ts';
import type { Condition, KubeObject, ObjectKey, ResourceType } from '../../kube/objects.ts';
import type { Cli } from '../context.ts';

export interface Awaited<T extends KubeObject, R> {
  readonly type: ResourceType<T>;
  readonly key: ObjectKey;
  /** Undefined: not yet. May throw, which ends the wait. `object` undefined: it is gone. */
  readonly test: (object: T | undefined) => R | undefined;
  /** Called with every version that is seen. */
  readonly onObject?: (object: T) => void;
  /** What a person reads when waiting ends before the work does. */
  readonly goesOn: string;
  readonly timeoutMs?: number;
}

/** The first result of `test`; survives cut connections. `TimedOut` when it takes too long. */
export async function until<T extends KubeObject, R>(
  cli: Cli,
  client: KubeClient,
  awaited: Awaited<T, R>,
): Promise<R> {
  const { type, key, goesOn, timeoutMs } = awaited;
  const fields = `metadata.name=${key.name}`;
  const selectors = key.namespace === '' ? { fields } : { fields, namespace: key.namespace };
  const informer = createInformer(client, type, { selectors });
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  try {
    return await cli.watching({ goesOn, ...limit }, async (signal) => {
      const { promise, resolve, reject } = Promise.withResolvers<R>();
      const look = (): void => {
        const object = informer.get(key);
        try {
          if (object !== undefined) awaited.onObject?.(object);
          const result = awaited.test(object);
          if (result !== undefined) resolve(result);
        } catch (error) {
          reject(error as Error);
        }
      };
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      informer.onTrouble(() => {
        const trouble = informer.trouble;
        // Rights do not come by waiting; all else may.
        if (trouble?.reason === 'Forbidden') reject(errorOf(trouble.reason, trouble.message));
      });
      void informer.synced.then(look, () => undefined);
      informer.onChange(() => {
        if (informer.isSynced) look();
      });
      return promise;
    });
  } finally {
    await informer.stop();
  }
}

function errorOf(reason: string, message: string): Error {
  try {
    return failWith(reason, message);
  } catch (error) {
    return error as Error;
  }
}

/** Fails with a condition's reason, when it is one of the catalogue. */
export function failWith(reason: string, message: string): never {
  const known: Reason = isReason(reason) ? reason : 'Internal';
  fail(known, message);
}

export interface WithConditions extends KubeObject {
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly observedGeneration?: number;
  };
}

export function conditionOf(object: WithConditions, type: string): Condition | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

/** A condition that was written for the object as it is now. */
export function currentCondition(object: WithConditions, type: string): Condition | undefined {
  const condition = conditionOf(object, type);
  const seen = condition?.observedGeneration ?? object.status?.observedGeneration ?? 0;
  return seen >= (object.metadata.generation ?? 0) ? condition : undefined;
}
