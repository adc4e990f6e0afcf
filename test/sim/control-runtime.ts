/** What Kubernetes itself does for claims and volumes, as the embedded cluster has it. */
import type { Controller } from '../../src/embedded/runtime/controller.ts';
import { InformerPool } from '../../src/embedded/runtime/informers.ts';
import { runController } from '../../src/embedded/runtime/run-controller.ts';
import { createClaimBinder } from '../../src/embedded/runtime/storage/claim-binder.ts';
import {
  createClaimProtection,
  createVolumeProtection,
} from '../../src/embedded/runtime/storage/protection.ts';
import { createVolumePhases } from '../../src/embedded/runtime/storage/volume-phases.ts';
import { GarbageCollector } from '../../src/embedded/runtime/upkeep/garbage.ts';
import { createEventRecorder } from '../../src/kube/events.ts';
import { silentMetrics, Worker, type WorkerPorts } from './control-worker.ts';

const user = { name: 'system:kube-controller-manager', groups: ['system:masters'] };

/** It watches every kind there is, which takes long; and seldom has anything to do here. */
const collectorChance = 0.05;

export class RuntimeProcess extends Worker {
  override get name(): string {
    return `runtime ${this.o.cluster().name}`;
  }

  protected override begin(ports: WorkerPorts): () => Promise<void> {
    const { log } = ports;
    const cluster = this.o.cluster();
    const client = this.clientAs(user, 'kube-controller-manager', ports);
    const informers = new InformerPool(client);
    const events = createEventRecorder({ client, reporter: 'runtime', instance: cluster.name });
    const host = { client, informers, events, metrics: silentMetrics, log };
    const controllers: readonly Controller[] = [
      createClaimBinder(),
      createClaimProtection(),
      createVolumeProtection(),
      createVolumePhases(),
    ];
    const reconcilers = controllers.map((one) => runController(host, one));
    const collector = this.o.rng.chance(collectorChance) ? new GarbageCollector(host) : undefined;
    void collector?.start();
    return async () => {
      await collector?.stop();
      await Promise.all(reconcilers.map((one) => one.stop()));
      await informers.stop();
      await events.stop();
    };
  }
}
