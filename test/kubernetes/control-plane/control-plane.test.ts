import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlPlanePrograms, findBinaries } from '../../../tools/kubernetes/binaries.ts';
import { createAccount } from './accounts.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { componentNames } from './flags.ts';
import { compactHistory } from './history.ts';
import { createRequester, type Exchange, type Identity } from './request.ts';

const binaries = findBinaries(controlPlanePrograms);
const skip = binaries.available ? false : binaries.reason;

const pidsOf = (plane: ControlPlane): readonly number[] =>
  componentNames.map((name) => plane.pidOf(name)).filter((pid) => pid !== undefined);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Asks as somebody other than the administrator. */
async function ask(plane: ControlPlane, who: Identity, exchange: Exchange): Promise<number> {
  const requester = createRequester(plane.url, plane.caPem, who);
  try {
    return (await requester.send(exchange)).status;
  } finally {
    requester.close();
  }
}

async function createNamespace(plane: ControlPlane, name: string): Promise<number> {
  const exchange = { method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name } } };
  return (await plane.admin.send(exchange as Exchange)).status;
}

const namespaceStatus = async (plane: ControlPlane, name: string): Promise<number> =>
  (await plane.admin.send({ path: `/api/v1/namespaces/${name}` })).status;

suite('two control planes', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'ts-kube-'));
  let planes: readonly ControlPlane[] = [];
  const plane = (): ControlPlane => planes[0] ?? assert.fail('did not start');

  before(async () => {
    assert.ok(binaries.available);
    const start = (name: string): Promise<ControlPlane> =>
      startControlPlane({ name, directory: join(directory, name), binaries });
    planes = await Promise.all([start('east'), start('west')]);
  });

  after(async () => {
    const pids = planes.flatMap(pidsOf);
    await Promise.all(planes.map((one) => one.stop()));
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(pids.filter(isAlive), [], 'nothing is left running');
  });

  test('each has its own objects, certificates and files', async () => {
    const [east, west] = planes as readonly [ControlPlane, ControlPlane];
    assert.equal(await createNamespace(east, 'only-here'), 201);
    assert.equal(await namespaceStatus(east, 'only-here'), 200);
    assert.equal(await namespaceStatus(west, 'only-here'), 404);
    const { adminCertPem: certPem, adminKeyPem: keyPem } = east;
    assert.equal(await ask(west, { certPem, keyPem }, { path: '/api' }), 401);
    await assert.rejects(ask({ ...east, caPem: west.caPem }, {}, { path: '/api' }), /certificate/);
    assert.ok(existsSync(east.adminKubeconfigPath));
    assert.equal(await ask(east, {}, { path: '/api' }), 401, 'no anonymous access');
  });

  test('objects survive restarts and kills of every component', async () => {
    assert.equal(await createNamespace(plane(), 'survives'), 201);
    for (const component of componentNames) {
      const pid = plane().pidOf(component);
      await plane().kill9(component);
      assert.equal(plane().pidOf(component), undefined);
      await plane().startComponent(component);
      assert.notEqual(plane().pidOf(component), pid);
    }
    await plane().restart('kube-apiserver');
    assert.equal(await namespaceStatus(plane(), 'survives'), 200);
  });

  test('a paused API server is silent, and answers when it goes on', async () => {
    plane().pause('kube-apiserver');
    const asked = namespaceStatus(plane(), 'default');
    assert.equal(await Promise.race([asked, sleep(300, 'silent')]), 'silent');
    plane().resume('kube-apiserver');
    assert.equal(await asked, 200);
  });

  test('an account may do what its rules say, for as long as its token says', async () => {
    const options = {
      name: 'reader',
      namespace: 'accounts',
      rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['list'] }],
    };
    const { token } = await createAccount(plane(), options);
    const path = '/api/v1/namespaces/accounts/configmaps';
    assert.equal(await ask(plane(), { token }, { path }), 200);
    const body = { metadata: { name: 'one' } };
    assert.equal(await ask(plane(), { token }, { method: 'POST', path, body }), 403);
    assert.equal(await ask(plane(), { token }, { path: '/api/v1/configmaps' }), 403);
    const brief = await createAccount(plane(), { ...options, expiresInSeconds: 60 });
    assert.equal(await ask(plane(), { token: brief.token }, { path }), 200);
    const late = await createAccount(plane(), { ...options, expiresInSeconds: -90 });
    assert.equal(await ask(plane(), { token: late.token }, { path }), 401);
  });

  test('a client certificate names a user and groups, until it expires', async () => {
    const somebody = plane().issueClient({ user: 'somebody' });
    assert.equal(await ask(plane(), somebody, { path: '/api' }), 200);
    assert.equal(await ask(plane(), somebody, { path: '/api/v1/nodes' }), 403);
    const groups = ['system:masters'];
    const master = plane().issueClient({ user: 'somebody', groups });
    assert.equal(await ask(plane(), master, { path: '/api/v1/nodes' }), 200);
    const late = plane().issueClient({ user: 'somebody', groups, validMs: -1000 });
    assert.equal(await ask(plane(), late, { path: '/api/v1/nodes' }), 401);
  });

  test('a list cannot be continued over a compaction', async () => {
    const list = async (rest: string): Promise<{ status: number; next: string }> => {
      const path = `/api/v1/serviceaccounts?limit=1${rest}`;
      const { status, json } = await plane().admin.send({ path });
      const { metadata } = json as { metadata: { continue?: string } };
      return { status, next: encodeURIComponent(metadata.continue ?? '') };
    };
    const { next } = await list('');
    assert.equal((await list(`&continue=${next}`)).status, 200);
    await createNamespace(plane(), 'makes-a-revision');
    await compactHistory(plane());
    await plane().restart('kube-apiserver');
    assert.equal((await list(`&continue=${next}`)).status, 410);
  });
});

test('all of it ends when the process that started it is killed', { skip }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ts-kube-'));
  const code = `
    import { findBinaries } from '${import.meta.resolve('../../../tools/kubernetes/binaries.ts')}';
    import { startControlPlane } from '${import.meta.resolve('./control-plane.ts')}';
    const names = ${JSON.stringify(controlPlanePrograms)};
    const binaries = findBinaries(names);
    const directory = ${JSON.stringify(join(directory, 'left'))};
    const plane = await startControlPlane({ name: 'left', directory, binaries });
    console.log(names.map((name) => plane.pidOf(name)).join(' '));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await child.stdout.setEncoding('utf8').take(1).toArray()) as [string];
  const pids = line.trim().split(' ').map(Number);
  assert.equal(pids.filter(isAlive).length, componentNames.length);
  child.kill('SIGKILL');
  const deadline = performance.now() + 5000;
  while (pids.some(isAlive) && performance.now() < deadline) await sleep(20);
  assert.deepEqual(pids.filter(isAlive), []);
  rmSync(directory, { recursive: true, force: true });
});
