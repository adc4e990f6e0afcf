/**
 * The part of a replication before it runs: its job begins, checks are made, decisions are taken,
 * what can be corrected is. Every state is written down before the effect that it is about.
 */
import { type Decision, replications } from '../../api/kinds/replication.ts';
import { shapeOf } from '../../api/replication-ends.ts';
import type { Outcome as Again } from '../../kube/api.ts';
import { ensureFinalizer } from '../../kube/finalizers.ts';
import { keyOf } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { finalizers } from '../labels.ts';
import { uidOf } from '../migration/run.ts';
import { condition } from '../status.ts';
import type { ReplicationRun } from './as-plan.ts';
import { type BackupFound, checkBackup, pendingBackupChecks } from './backup/checks.ts';
import { countsOf, pendingChecks, runChecks } from './checks/all.ts';
import { isPassed, offersFor } from './decide.ts';
import { agreedAfter, remediate } from './fixes.ts';
import { lookAt } from './look.ts';
import type { Saved } from './saved.ts';
import { followUps } from './slices.ts';
import { tellBegin, tellChecks, tellDecision, tellFixed, tellRefused } from './telling.ts';

interface Findings extends BackupFound {
  /** What a person may do afterwards. */
  readonly followUp: readonly string[];
}

export class Answering {
  readonly #c: Context;

  constructor(context: Context) {
    this.#c = context;
  }

  async begin(saved: Saved): Promise<Again> {
    const { client, ports } = this.#c;
    saved.object = await ensureFinalizer(
      client,
      replications,
      saved.object,
      finalizers.replication,
    );
    const { spec, status } = saved.object;
    const runs = (status?.runs ?? 0) + 1;
    saved.forget();
    await saved.say('Checking', 'the clusters are being looked at', {
      phase: 'Checking',
      state: 'InProgress',
      jobId: `${uidOf(saved.object).slice(0, 8)}-${runs}`,
      run: spec.run ?? 1,
      runs,
      startTime: saved.now(),
      completionTime: undefined,
      checks: pendingOf(saved),
      compatible: undefined,
      actionable: undefined,
      incompatible: undefined,
      offers: undefined,
      overruled: undefined,
      itinerary: undefined,
      step: undefined,
      percent: undefined,
    });
    tellBegin(ports, saved.object);
    return { againAfterMs: 1 };
  }

  async check(saved: Saved): Promise<Again> {
    const { checks, followUp, ...restored } = await this.#find(saved);
    const counts = countsOf(checks);
    const { onlyCheck = false, decision } = saved.object.spec;
    const isGood = isPassed(counts);
    const offers = offersFor(checks, { onlyCheck });
    const found = { checks, ...counts, offers, ...restored, checkedTime: saved.now() };
    const said = messageOf(counts);
    const passed = condition('ChecksPassed', isGood, isGood ? 'Passed' : 'ChecksFailed', said);
    if (isGood && !onlyCheck) {
      for (const sentence of followUp) saved.note(sentence);
      await saved.write({ ...found, phase: 'Queued' }, [passed, ...waiting('Queued', said)]);
      tellChecks(this.#c.ports, saved.object);
      // It was given beforehand, and is not needed.
      if (decision !== undefined) await this.#clear(saved);
      return { againAfterMs: 1 };
    }
    const state = isGood ? 'InProgress' : 'Error';
    const more = isGood ? 'set spec.onlyCheck to false to go on' : `choose: ${offers.join(', ')}`;
    const reason = isGood ? 'Checked' : 'ChecksFailed';
    const drafts = [passed, ...waiting(reason, `${said}; ${more}`, isGood)];
    await saved.write({ ...found, phase: 'Halted', state }, drafts);
    tellChecks(this.#c.ports, saved.object);
    return { againAfterMs: 1 };
  }

  async #find(saved: Saved): Promise<Findings> {
    const shape = shapeOf(saved.object.spec);
    if (shape !== 'Copy') {
      return { followUp: [], ...(await checkBackup(this.#c, saved.object, shape)) };
    }
    const seen = await lookAt(this.#c, saved.object);
    return { checks: runChecks(seen), followUp: followUps(saved.object, seen.slices) };
  }

  /** Written down first: who comes after a crash knows that it was taken. */
  async take(saved: Saved, decision: Decision): Promise<Again> {
    const { generation = 0 } = saved.object.metadata;
    const decided = { decision, time: saved.now(), generation };
    const taken = { decided, offers: undefined };
    switch (decision) {
      case 'Remediate':
        await saved.say('Remediating', 'what can be corrected is being corrected', {
          ...taken,
          phase: 'Remediating',
          state: 'InProgress',
        });
        break;
      case 'Recheck':
        await saved.say('Checking', 'the clusters are being looked at', {
          ...taken,
          phase: 'Checking',
          state: 'InProgress',
          checks: pendingOf(saved),
        });
        break;
      case 'ProceedAnyway': {
        const message = 'a person decided to proceed in spite of the checks';
        const change = { ...taken, phase: 'Queued', state: 'InProgress', overruled: true } as const;
        const passed = condition('ChecksPassed', true, 'Overruled', message);
        await saved.write(change, [passed, ...waiting('Queued', message)]);
        break;
      }
      case 'Stop': {
        const change = { phase: 'Stopped', state: 'Error', completionTime: saved.now() } as const;
        const message = 'it was stopped after its checks; raise spec.run to begin again';
        const drafts = [condition('Succeeded', false, 'Canceled', message)];
        await saved.write({ ...taken, ...change }, drafts);
        break;
      }
    }
    tellDecision(this.#c.ports, saved.object, decision);
    await this.#clear(saved);
    return { againAfterMs: 1 };
  }

  async drop(
    saved: Saved,
    { decision, isTaken }: { readonly decision: Decision; readonly isTaken: boolean },
  ): Promise<Again> {
    if (!isTaken) tellRefused(this.#c.ports, saved.object, decision);
    await this.#clear(saved);
    return { againAfterMs: 1 };
  }

  /** The spec says what is still to be decided, and nothing is. */
  async #clear({ object }: Saved): Promise<void> {
    const { uid, resourceVersion } = object.metadata;
    const patch = { metadata: { uid, resourceVersion }, spec: { decision: null } };
    await this.#c.client.patch(replications, keyOf(object), patch);
  }

  async remediate(saved: Saved, run: ReplicationRun): Promise<Again> {
    const seen = await lookAt(this.#c, saved.object);
    const done = await remediate(run, seen);
    for (const what of done) tellFixed(this.#c.ports, saved.object, what);
    await saved.say('Checking', 'it is looked at what was corrected', {
      phase: 'Checking',
      agreed: agreedAfter(seen),
      checks: pendingOf(saved),
    });
    return { againAfterMs: 1 };
  }
}

function pendingOf({ object }: Saved) {
  return pendingBackupChecks(object) ?? pendingChecks();
}

function messageOf({ compatible = 0, actionable = 0, incompatible = 0 }): string {
  const bad = `${actionable} actionable, ${incompatible} incompatible`;
  return `${compatible} checks are compatible, ${bad}`;
}

/** What `Ready` and `Succeeded` say while it is not over. */
export function waiting(reason: string, message: string, isReady = false) {
  return [
    condition('Ready', isReady, isReady ? 'Ready' : reason, message),
    condition('Succeeded', 'Unknown', reason, message),
  ];
}
