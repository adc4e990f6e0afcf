import assert from 'node:assert/strict';
import { test } from 'node:test';
import { delayAfter } from './attempts.ts';
import { comparePaths, describeDifference, manifestLine } from './manifest.ts';
import { parseClientConfig, parseServerConfig } from './mover-config.ts';
import { parseMoverMessage } from './mover-messages.ts';
import { configText, moverClientPod, moverServerPod, placesOf } from './pods.ts';
import { rsyncArguments } from './rsync-arguments.ts';
import { rsyncdText } from './rsyncd-config.ts';

const pod = { name: 'm', namespace: 'app', image: 'transship', secret: 'm', identity: {} };
const nodes = { nodeSelectorTerms: [{ matchExpressions: [] }] };
const config = {
  host: '10.0.0.1',
  port: 8443,
  serverName: 'mover.test',
  module: 'data',
  pass: 'Final' as const,
};

function client(changes: object = {}) {
  return moverClientPod({ ...pod, claim: 'data', path: '/data', ...changes });
}

test('pods are restricted; root is asked for with its reason', () => {
  const { spec } = client({ nodes });
  assert.equal(spec?.securityContext?.['runAsNonRoot'], true);
  assert.deepEqual(spec.securityContext['seccompProfile'], { type: 'RuntimeDefault' });
  const security = spec.containers[0]?.securityContext;
  assert.deepEqual(security?.['capabilities'], { drop: ['ALL'] });
  assert.equal(security['allowPrivilegeEscalation'], false);
  assert.equal(spec.nodeName, undefined);
  assert.deepEqual(spec.affinity, {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: nodes },
  });
  const volume = spec.containers[0]?.volumeMounts?.find(({ name }) => name === 'volume');
  assert.equal(volume?.readOnly, true);
  const root = client({ identity: { runAsRoot: { because: 'files of 3 owners' } } });
  assert.equal(root.spec?.securityContext?.['runAsNonRoot'], undefined);
  const because = root.metadata.annotations?.['transship.dev/run-as-root-because'];
  assert.equal(because, 'files of 3 owners');
});

test('what the Secrets hold is what movers read', () => {
  const modules = [{ name: 'data', path: '/volumes/data' }];
  const server = configText('m', { host: '0.0.0.0', port: 0, modules });
  assert.deepEqual(parseServerConfig(server).modules, modules);
  const read = parseClientConfig(configText('m', { ...config, source: '/data' }));
  assert.equal(read.certificates, placesOf('m').secret);
  const volumes = [{ claim: 'data', path: '/volumes/data' }];
  const mounts = moverServerPod({ ...pod, port: 0, volumes }).spec?.containers[0]?.volumeMounts;
  const places = mounts?.map(({ mountPath }) => mountPath) ?? [];
  assert.ok(places.includes(read.certificates) && places.includes('/volumes/data'));
  assert.ok(places.some((place) => read.state.startsWith(`${place}/`)));
});

test('the pods of two transfers have no place in common', () => {
  const placesIn = (name: string): readonly string[] => Object.values(placesOf(name));
  assert.deepEqual(
    placesIn('a').filter((place) => placesIn('b').includes(place)),
    [],
  );
});

test('the pods of an embedded cluster are of its own user', () => {
  const { spec } = client({ identity: { asHost: true } });
  assert.deepEqual(spec?.securityContext, { seccompProfile: { type: 'RuntimeDefault' } });
});

test('a configuration that could become words of another program is refused', () => {
  const words = { ...config, certificates: '/tls', state: '/state', source: '/data' };
  const bad = [
    { host: 'a\nexec = sh' },
    { source: '/data; sh' },
    { module: '../etc' },
    { excludes: ['*.log'] },
    { excludes: ['cache'] },
    { pass: 'Last' },
    { port: 0 },
    { bytesPerSecond: -1 },
  ];
  for (const change of bad) {
    const text = JSON.stringify({ ...words, ...change });
    assert.throws(() => parseClientConfig(text), { reason: 'BadArgument' }, text);
  }
  assert.deepEqual(parseClientConfig(JSON.stringify(words)).excludes, []);
});

test('rsync is told what was asked for', () => {
  const told = { ...config, certificates: '/tls', state: '/state', source: '/data/' };
  const words = rsyncArguments({ ...told, bytesPerSecond: 2 ** 20, verify: true }, { root: true });
  for (const word of ['--bwlimit=1024', '--checksum', '--exclude=/lost+found', '--numeric-ids']) {
    assert.ok(words.includes(word), word);
  }
  assert.deepEqual(words.slice(-3), ['--', '/data/', 'rsync://mover/data/']);
  assert.ok(!words.includes('--inplace') && !words.includes('--omit-dir-times'));
  const free = rsyncArguments({ ...told, ownership: 'Mover', inPlace: true }, { root: false });
  for (const word of ['--no-owner', '--inplace', '--omit-dir-times'])
    assert.ok(free.includes(word));
});

test('the daemon lets one connection write a volume', () => {
  const modules = [{ name: 'data', path: '/data', readOnly: true }];
  const paths = { requestsPath: '/r', answersPath: '/a', locksPath: '/l', logPath: '/log' };
  const text = rsyncdText({ modules, ...paths, chroot: true, root: true });
  const wanted = /\[data\]\npath = \/data\nread only = yes\nmax connections = 1\nlock file = \/l\//;
  assert.match(text, wanted);
  assert.match(text, /munge symlinks = no/);
  const plain = rsyncdText({ modules, ...paths, chroot: false, root: false });
  assert.doesNotMatch(plain, /^uid/m);
  assert.match(plain, /munge symlinks = yes/);
});

test('attempts are spread and bounded', () => {
  assert.deepEqual(
    [1, 2, 3, 7, 100].map((one) => delayAfter(one, 0)),
    [1000, 2000, 4000, 60000, 60000],
  );
  assert.equal(delayAfter(1, 0.5), 875);
});

test('messages are told from other lines of a log', () => {
  assert.deepEqual(parseMoverMessage('{"type":"Listening","port":7}'), {
    type: 'Listening',
    port: 7,
  });
  for (const line of ['', 'null', '{"type":"Other"}', '{"type":"Prog', 'rsync: [sender]']) {
    assert.equal(parseMoverMessage(line), undefined, line);
  }
});

test('manifests leave out what a scope does, and say how lines differ', () => {
  const entry = { path: 'a', type: 'file', mode: 0o644, uid: 1, gid: 2, size: 3, mtimeSeconds: 4 };
  const scope = { verify: false, excludes: [], ignoreOwners: true, ignoreDirectoryTimes: false };
  const line = (changes: object) => manifestLine({ ...entry, ...changes }, scope);
  assert.equal(line({ uid: 9, gid: 9 }), line({}));
  assert.notEqual(line({ size: 4 }), line({}));
  assert.equal(describeDifference(line({}), line({ size: 4 })), 'a: size 3 at the source, 4 there');
  assert.match(describeDifference(line({}), line({ type: 'fifo' })), /fifo instead of file/);
  const order = ['', 'a', 'a/b', 'a-b', 'b'].map((path) => line({ path }));
  assert.deepEqual(order.toReversed().toSorted(comparePaths), order);
});
