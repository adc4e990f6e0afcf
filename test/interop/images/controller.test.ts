// Images as part of migrations: two clusters' API servers in memory, with real registries.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { kinds } from '../../../src/api/kinds/all.ts';
import { clusters, type ClusterSpec } from '../../../src/api/kinds/cluster.ts';
import { crdOf } from '../../../src/api/kinds/crd.ts';
import { type ImageTransfer, imageTransfers } from '../../../src/api/kinds/image-transfer.ts';
import { type Migration, migrations } from '../../../src/api/kinds/migration.ts';
import { type Plan, type PlanSpec, plans } from '../../../src/api/kinds/plan.ts';
import { fail } from '../../../src/base/errors.ts';
import type { Context } from '../../../src/controllers/context.ts';
import { ImageTransferController } from '../../../src/controllers/image-transfer/controller.ts';
import type { RegistryDoor } from '../../../src/controllers/ports.ts';
import type { Run } from '../../../src/controllers/migration/run.ts';
import { imageSteps } from '../../../src/controllers/migration/steps/images.ts';
import { preparedObjectsOf, surveyOf } from '../../../src/controllers/plan/prepared.ts';
import { conditionOf, StatusWriter } from '../../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../../src/embedded/schema/library.ts';
import { createApiServer } from '../../../src/embedded/server/server.ts';
import { admin, MemoryPersistence } from '../../../src/embedded/server/testing.ts';
import type { Observation } from '../../../src/flow/flow.ts';
import { openRegistryTransport } from '../../../src/host/registry-transport.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import { createInformer } from '../../../src/kube/informer.ts';
import { createReconciler } from '../../../src/kube/reconciler.ts';
import { customResourceDefinitions, namespaces, secrets } from '../../../src/kube/resources.ts';
import { deployments } from '../../../src/kube/workloads.ts';
import { imagesOf } from '../../../src/workload/images.ts';
import { missing, scratch } from '../tools.ts';
import {
  type Authority,
  makeAuthority,
  ports,
  putImage,
  Registry,
  twoRegistries,
} from './registries.ts';

const skip = missing('docker-registry', 'htpasswd', 'openssl');
const log = { log: () => undefined };
const metrics = { add: () => undefined, set: () => undefined, observe: () => undefined };
const library = createSchemaLibrary();
const namespace = 'shop';

function openApi(name: string): KubeClient {
  const { clock, random } = ports;
  const persistence = new MemoryPersistence();
  const server = createApiServer({ clock, random, log, library, persistence });
  const transport = (request: Parameters<typeof server.handle>[0]) => server.handle(request, admin);
  return createKubeClient({ cluster: name, transport, clock, random, log, fieldManager: 'test' });
}

/** A hub beside its cluster, another cluster, and the controller of image transfers. */
class Bench implements AsyncDisposable {
  readonly east = openApi('east');
  readonly west = openApi('west');
  readonly #ends: (() => unknown)[] = [];
  #context: Context | undefined;

  get context(): Context {
    assert.ok(this.#context);
    return this.#context;
  }

  async start(
    registries: Readonly<Record<string, ClusterSpec['registry']>>,
    door: RegistryDoor = { open: openRegistryTransport },
  ): Promise<void> {
    for (const kind of kinds) {
      const { metadata, spec } = crdOf(kind);
      await this.east.create(customResourceDefinitions, { metadata, spec } as never);
    }
    for (const client of [this.east, this.west]) {
      await client.create(namespaces, { metadata: { name: namespace } });
    }
    for (const [name, registry] of Object.entries(registries)) {
      const spec = { ...(name === 'east' ? { local: true } : {}), registry };
      await this.east.create(clusters, { metadata: { name }, spec } as never);
    }
    await this.work(door);
  }

  /** Ends what runs, as a process does that goes, and begins as the next one. */
  async work(door: RegistryDoor): Promise<void> {
    await this.end();
    const known = createInformer(this.east, clusters);
    const transfers = createInformer(this.east, imageTransfers);
    await Promise.all([known.synced, transfers.synced]);
    const all = new Map([this.east, this.west].map((client) => [client.cluster, client]));
    this.#context = {
      ports: { ...ports, log, metrics, registries: door },
      client: this.east,
      informers: {
        clusters: known,
        imageTransfers: transfers,
        migrations: { get: () => undefined },
      },
      remotes: { find: (name: string) => ({ name, client: all.get(name) }) },
      statuses: new StatusWriter(ports.clock, this.east),
    } as unknown as Context;
    const controller = new ImageTransferController(this.context);
    const { name, sources } = controller;
    const reconcile = (key: string) => controller.reconcile(key);
    const rest = { client: this.east, metrics, log };
    const reconciler = createReconciler({ name, sources, reconcile, ...rest });
    this.#ends.push(
      () => controller.stop(),
      () => reconciler.stop(),
      () => known.stop(),
      () => transfers.stop(),
    );
    await reconciler.started;
  }

  async plan(spec: Partial<PlanSpec> = {}): Promise<Plan> {
    return this.east.create(plans, {
      metadata: { namespace, name: 'move' },
      spec: {
        source: 'east',
        destination: 'west',
        namespaces: [{ name: namespace, to: 'store' }],
        ...spec,
      },
    } as never);
  }

  async migration(): Promise<Migration> {
    const spec = { plan: 'move', type: 'Cutover' };
    return this.east.create(migrations, { metadata: { namespace, name: 'one' }, spec } as never);
  }

  async run(plan: Plan, migration: Migration, warnings: string[] = []): Promise<Run> {
    return {
      context: this.context,
      plan,
      migration,
      source: { name: 'east', client: this.east },
      destination: { name: 'west', client: this.west },
      type: 'Namespace',
      warn: (sentence: string) => void warnings.push(sentence),
    } as unknown as Run;
  }

  async deploy(name: string, image: string): Promise<void> {
    const labels = { app: name };
    await this.east.create(deployments, {
      metadata: { namespace, name },
      spec: {
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'main', image }] } },
      },
    } as never);
  }

  async transfers(): Promise<ImageTransfer[]> {
    const found: ImageTransfer[] = [];
    for await (const one of this.east.list(imageTransfers, { namespace })) found.push(one);
    return found;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

const imageStreams = {
  group: 'image.openshift.io',
  version: 'v1',
  plural: 'imagestreams',
  kind: 'ImageStream',
  namespaced: true,
} as const;

async function serveStreams(client: KubeClient): Promise<void> {
  const { group, plural, kind, version } = imageStreams;
  const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  await client.create(customResourceDefinitions, {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind },
      versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  } as never);
}

const [step] = imageSteps;

async function drive(run: Run): Promise<Observation> {
  const deadline = Date.now() + 90_000;
  for (;;) {
    const seen = await step!.observe(run);
    if (seen.kind === 'done' || seen.kind === 'failed') return seen;
    if (seen.kind === 'notStarted') await step!.ensure(run);
    assert.ok(Date.now() < deadline, JSON.stringify(seen));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const hostOf = ({ port }: Registry): string => `127.0.0.1:${port}`;

/** As a cluster's own registry: pods know it under a name that is not reached from here. */
function described(registry: Registry, authority: Authority): ClusterSpec['registry'] {
  return {
    host: `registry.of-${registry.port}.svc:5000`,
    exposedHost: hostOf(registry),
    caBundle: authority.text,
    ...(registry.secret === undefined
      ? {}
      : { credentialsSecretRef: { namespace, name: `login-${registry.port}` } }),
  };
}

async function saveLogin(client: KubeClient, registry: Registry, name: string, host: string) {
  const { user = '', password = '' } = registry.secret ?? {};
  const auth = Buffer.from(`${user}:${password}`).toString('base64');
  await client.create(secrets, {
    metadata: { namespace, name },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': JSON.stringify({ auths: { [host]: { auth } } }) },
  });
}

test('images of the source are copied, and pods name them as they are called there', {
  skip,
}, async () => {
  await using place = await twoRegistries('a', 'b');
  const { a, b, authority } = place;
  await using bench = new Bench();
  // The source is read with what its pods pull with, the destination written with its own Secret.
  // Both are asked under a name that the entry does not have.
  const from = { ...described(a, authority) };
  delete (from as { credentialsSecretRef?: unknown }).credentialsSecretRef;
  const to = described(b, authority);
  await bench.start({ east: from, west: to });
  await saveLogin(bench.east, a, 'pull', from.host ?? '');
  await saveLogin(bench.east, b, `login-${b.port}`, hostOf(b));
  const image = await putImage(a, 'shop/api', randomBytes(3 * 1024 * 1024));
  const other = await putImage(a, 'tools/cache', randomBytes(1024));
  await bench.deploy('api', `${from.host}/shop/api:1.0`);
  await bench.deploy('cache', `${from.exposedHost}/tools/cache@${other.digest}`);
  await bench.deploy('proxy', 'docker.io/library/haproxy:3');
  const run = await bench.run(await bench.plan({ concurrency: 1 }), await bench.migration());
  assert.equal(await step!.isNeeded?.(run), true);
  assert.deepEqual(await drive(run), { kind: 'done' });

  const [api, cache, ...rest] = (await bench.transfers()).toSorted((x, y) =>
    x.spec.source.reference < y.spec.source.reference ? -1 : 1,
  );
  assert.deepEqual(rest, []);
  assert.equal(api?.spec.destination.reference, 'store/api:1.0');
  assert.equal(cache?.spec.destination.reference, `tools/cache@${other.digest}`);
  assert.equal(api?.status?.digest, image.digest);
  assert.equal(api?.status?.layers, image.layers);
  assert.equal(api?.status?.totalBytes, image.bytes);
  assert.equal(api?.status?.copiedBytes, image.bytes);
  assert.equal(api?.status?.percent, 100);
  assert.equal(api?.status?.attempts, 1);
  assert.equal(api?.metadata.ownerReferences?.[0]?.name, 'one');
  const there = await b.call('GET', 'store/api/manifests/1.0');
  assert.equal((JSON.parse(there.bytes.toString()) as { manifests: [] }).manifests.length, 2);
  const referrers = await b.call('GET', `store/api/manifests/${image.digest.replace(':', '-')}`);
  assert.match(referrers.bytes.toString(), /"artifactType":"application\/x-test"/);

  const clients = { source: bench.east, destination: bench.west };
  const { inventory } = await surveyOf(run.plan, clients);
  const known = bench.context.informers.clusters;
  const sides = {
    source: known.get({ namespace: '', name: 'east' }),
    destination: known.get({ namespace: '', name: 'west' }),
  };
  const images: string[] = [];
  const prepared = preparedObjectsOf(run.plan, inventory, { ...clients, clusters: sides });
  for await (const { object } of prepared) {
    if (object !== undefined) images.push(...imagesOf(object).map(({ text }) => text));
  }
  assert.deepEqual(images.toSorted(), [
    'docker.io/library/haproxy:3',
    `${to?.host}/store/api:1.0`,
    `${to?.host}/tools/cache@${other.digest}`,
  ]);

  await step!.undo?.(run);
  assert.deepEqual(await bench.transfers(), []);
  assert.equal((await b.call('HEAD', 'store/api/manifests/1.0')).status, 200, 'images stay');
});

test('streams get their newest images, and are there before anything is pushed', {
  skip,
}, async () => {
  await using place = await twoRegistries();
  const { a, b, authority } = place;
  await using bench = new Bench();
  const from = described(a, authority);
  await bench.start({ east: from, west: described(b, authority) });
  for (const client of [bench.east, bench.west]) await serveStreams(client);
  await bench.west.create(namespaces, { metadata: { name: 'store' } });
  const image = await putImage(a, 'shop/web', randomBytes(1024));
  const home = `${from?.host}/shop/web`;
  const pushed = [{ image: image.digest, dockerImageReference: `${home}@${image.digest}` }];
  const followed = [{ image: image.digest, dockerImageReference: 'quay.io/shop/web:2' }];
  await bench.east.create(imageStreams, {
    metadata: { namespace, name: 'web' },
    spec: {
      tags: [
        { name: 'prod', from: { kind: 'DockerImage', name: `${home}@${image.digest}` } },
        { name: 'next', from: { kind: 'DockerImage', name: 'quay.io/shop/web:2' } },
      ],
    },
    status: {
      dockerImageRepository: home,
      tags: [
        { tag: 'prod', items: pushed },
        { tag: 'next', items: followed },
      ],
    },
  } as never);
  const run = await bench.run(await bench.plan(), await bench.migration());
  assert.equal(await step!.isNeeded?.(run), true);
  await step!.ensure(run);
  const made = await bench.west.get(imageStreams, { namespace: 'store', name: 'web' });
  const { spec, status } = made as unknown as { readonly spec: object; readonly status: unknown };
  const next = { name: 'next', from: { kind: 'DockerImage', name: 'quay.io/shop/web:2' } };
  assert.deepEqual(spec, { tags: [{ name: 'prod' }, next] });
  assert.equal(status, undefined);
  assert.ok(made?.metadata.annotations?.['transship.dev/prepared-for']);
  assert.deepEqual(await drive(run), { kind: 'done' });
  const references = (await bench.transfers()).map(({ spec: { source, destination } }) => {
    return [source.reference, destination.reference];
  });
  assert.deepEqual(references, [[`shop/web@${image.digest}`, 'store/web:prod']]);
  assert.equal((await b.call('HEAD', 'store/web/manifests/prod')).status, 200);
});

test('an image that cannot be had fails the step or is a warning, and is tried again', {
  skip,
}, async () => {
  await using place = await twoRegistries('b');
  const { a, b, authority } = place;
  await using bench = new Bench();
  const from = described(a, authority);
  await bench.start({ east: from, west: described(b, authority) });
  await putImage(a, 'shop/api', randomBytes(1024));
  await bench.deploy('api', `${from?.host}/shop/api:1.0`);
  await bench.deploy('gone', `${from?.host}/shop/gone:1.0`);
  const plan = await bench.plan();
  const migration = await bench.migration();
  // Nobody has said with what the destination is written to.
  const refused = await drive(await bench.run(plan, migration));
  assert.ok(refused.kind === 'failed');
  assert.equal(refused.reason, 'CredentialsMissing');
  assert.match(refused.message, /2 of 2 images could not be copied: .*there is no Secret shop/);
  const [one] = await bench.transfers();
  assert.equal(conditionOf(one, 'Succeeded')?.reason, 'CredentialsMissing');

  await saveLogin(bench.east, b, `login-${b.port}`, hostOf(b));
  const again = { ...migration, spec: { ...migration.spec, retry: 1 } };
  const missed = await drive(await bench.run(plan, again));
  assert.ok(missed.kind === 'failed');
  assert.equal(missed.reason, 'NotFound');
  assert.match(missed.message, /^1 of 2 images could not be copied: shop\/gone:1\.0/);
  const warnings: string[] = [];
  const lenient = { ...plan, spec: { ...plan.spec, imageFailure: 'Warn' as const } };
  assert.deepEqual(await drive(await bench.run(lenient, again, warnings)), { kind: 'done' });
  assert.match(warnings[0] ?? '', /shop\/gone:1\.0/);
  assert.equal((await b.call('HEAD', 'store/api/manifests/1.0')).status, 200);
});

test('without a registry nothing begins, and what users map or skip is left to them', {
  skip,
}, async () => {
  using place = scratch();
  const authority = await makeAuthority(place.path);
  await using a = await Registry.start(join(place.path, 'a'), authority);
  await using bench = new Bench();
  const from = described(a, authority);
  await bench.start({ east: from, west: undefined });
  await putImage(a, 'shop/api', randomBytes(1024));
  await bench.deploy('api', `${from?.host}/shop/api:1.0`);
  const plan = await bench.plan();
  const run = await bench.run(plan, await bench.migration());
  await assert.rejects(step!.ensure(run), /cluster west has none: give spec\.registry/);
  const warnings: string[] = [];
  const lenient = { ...plan, spec: { ...plan.spec, imageFailure: 'Warn' as const } };
  const warned = { ...run, plan: lenient, warn: (text: string) => void warnings.push(text) };
  assert.deepEqual(await drive(warned), { kind: 'done' });
  assert.match(warnings[0] ?? '', /cluster west has none/);
  const skipping = { ...plan, spec: { ...plan.spec, images: 'Skip' as const } };
  assert.equal(await step!.isNeeded?.({ ...run, plan: skipping }), false);
  const mapped = { images: [{ from: `${from?.host}/`, to: 'mirror.example' }] };
  const own = { ...plan, spec: { ...plan.spec, mappings: mapped } };
  assert.equal(await step!.isNeeded?.({ ...run, plan: own }), false, 'the user brings them');
});

/** Blobs do not come; who waits for one is told by the signal of its request. */
function holding(held: PromiseWithResolvers<AbortSignal>): RegistryDoor {
  return {
    open: (trust) => {
      const { transport, close } = openRegistryTransport(trust);
      return {
        close,
        transport: (request) => {
          const { signal, method, url } = request;
          if (method !== 'GET' || !url.includes('/blobs/')) return transport(request);
          assert.ok(signal);
          held.resolve(signal);
          return new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('ended')));
          });
        },
      };
    },
  };
}

test('a copy that its process left is gone on with by the next one', { skip }, async () => {
  await using place = await twoRegistries();
  const { a, b, authority } = place;
  await using bench = new Bench();
  const from = described(a, authority);
  const held = Promise.withResolvers<AbortSignal>();
  await bench.start({ east: from, west: described(b, authority) }, holding(held));
  await putImage(a, 'shop/api', randomBytes(1024));
  await bench.deploy('api', `${from?.host}/shop/api:1.0`);
  const plan = await bench.plan();
  const migration = await bench.migration();
  await step!.ensure(await bench.run(plan, migration));
  const signal = await held.promise;
  const [before] = await bench.transfers();
  await bench.work({ open: openRegistryTransport });
  assert.ok(signal.aborted);
  assert.deepEqual(await drive(await bench.run(plan, migration)), { kind: 'done' });
  const [after] = await bench.transfers();
  assert.equal(after?.status?.attempts, 2);
  assert.equal(after?.status?.startTime, before?.status?.startTime);
});

test('a registry that does not answer is asked again, and who deletes a transfer ends its copy', {
  skip,
}, async () => {
  await using place = await twoRegistries();
  const { a, b, authority } = place;
  await using bench = new Bench();
  const from = described(a, authority);
  const held = Promise.withResolvers<AbortSignal>();
  let opened = 0;
  const door = holding(held);
  await bench.start(
    { east: from, west: described(b, authority) },
    {
      open: (trust) => {
        opened += 1;
        if (opened === 1) return fail('RegistryUnreachable', 'it is away for a moment');
        return door.open(trust);
      },
    },
  );
  await putImage(a, 'shop/api', randomBytes(1024));
  await bench.deploy('api', `${from?.host}/shop/api:1.0`);
  const run = await bench.run(await bench.plan(), await bench.migration());
  await step!.ensure(run);
  const signal = await held.promise;
  const [one] = await bench.transfers();
  assert.equal(one?.status?.attempts, 1, 'what never began is no attempt');
  assert.equal((await step!.observe(run)).kind, 'running');
  const ended = new Promise((resolve) => signal.addEventListener('abort', resolve));
  await step!.undo?.(run);
  await ended;
  assert.equal((await b.call('HEAD', 'store/api/manifests/1.0')).status, 404);
});
