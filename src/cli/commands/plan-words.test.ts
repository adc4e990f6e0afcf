import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeSpec, withFlags } from './plan-spec.ts';
import {
  parseExisting,
  parseHook,
  parseNamespace,
  parsePair,
  parseSelector,
  parseVolume,
} from './plan-words.ts';

const wrong = (run: () => unknown, message: RegExp): void => {
  assert.throws(run, (error: Error) => message.test(error.message), String(message));
};

test('words become fields, and wrong ones say what is right', () => {
  assert.deepEqual(parseNamespace('shop:shop-eu'), { name: 'shop', to: 'shop-eu' });
  assert.deepEqual(parseNamespace('shop'), { name: 'shop' });
  assert.deepEqual(parseVolume('shop/db=Filesystem,class=fast,name=db2,size=20Gi,verify'), {
    namespace: 'shop',
    claim: 'db',
    action: 'Copy',
    method: 'Filesystem',
    storageClass: 'fast',
    name: 'db2',
    size: '20Gi',
    verify: true,
  });
  assert.deepEqual(parseVolume('shop/db=skip'), { namespace: 'shop', claim: 'db', action: 'Skip' });
  assert.deepEqual(parsePair('--image')('old.io/=new.io/'), { from: 'old.io/', to: 'new.io/' });
  assert.deepEqual(parseHook('quiet@prebackup'), { hook: 'quiet', phase: 'PreBackup' });
  assert.deepEqual(parseExisting('*=Keep'), { resource: '*', policy: 'Keep' });
  assert.deepEqual(parseSelector('app in (a,b),!old'), {
    matchExpressions: [
      { key: 'app', operator: 'In', values: ['a', 'b'] },
      { key: 'old', operator: 'DoesNotExist' },
    ],
  });
  wrong(() => parseNamespace('a:b:c'), /NAMESPACE:NEW/);
  wrong(() => parseVolume('db=skip'), /NAMESPACE\/CLAIM=METHOD/);
  wrong(() => parseVolume('shop/db=carry'), /carry is none of auto, copy, teleport/);
  wrong(() => parseVolume('shop/db=copy,speed=9'), /speed=9 is none of class=/);
  wrong(() => parseVolume('shop/db=copy,mode=block'), /mode= is Filesystem or Block/);
  wrong(() => parsePair('--image')('old'), /--image old: write OLD=NEW/);
  wrong(() => parseHook('quiet@later'), /PreBackup, PostBackup/);
  wrong(() => parseExisting('pods=maybe'), /KIND=fail/);
  wrong(() => parseSelector('age>3'), /with words only/);
});

test('flags change what they name and leave the rest', () => {
  const before = completeSpec({
    source: 'east',
    destination: 'west',
    namespaces: [{ name: 'shop' }, { name: 'crm' }],
    volumes: [{ namespace: 'shop', claim: 'db', action: 'Skip' }],
    mappings: { ingressClasses: [{ from: 'a', to: 'b' }] },
  });
  const after = completeSpec(
    withFlags(before, [parseNamespace('crm:crm2')], {
      volume: [parseVolume('shop/db=block'), parseVolume('crm/x=copy')],
      mapClass: [{ from: 'old', to: 'new' }],
      rate: { bytesPerSecond: 2 ** 20 },
      include: ['deployments.apps'],
      quiesce: false,
    }),
  );
  assert.deepEqual(after, {
    source: 'east',
    destination: 'west',
    namespaces: [{ name: 'shop' }, { name: 'crm', to: 'crm2' }],
    volumes: [
      { namespace: 'shop', claim: 'db', action: 'Copy', method: 'Block' },
      { namespace: 'crm', claim: 'x', action: 'Copy' },
    ],
    mappings: {
      ingressClasses: [{ from: 'a', to: 'b' }],
      storageClasses: [{ from: 'old', to: 'new' }],
    },
    bandwidth: '1Mi',
    resources: { include: ['deployments.apps'] },
    quiesce: false,
  });
});

test('a plan that could never run is refused before a server hears of it', () => {
  const clusters = { source: 'east', destination: 'west' };
  wrong(() => completeSpec({ namespaces: [{ name: 'a' }] }), /--from CLUSTER, --to CLUSTER/);
  wrong(() => completeSpec({ ...clusters, namespaces: [] }), /NAMESPACE/);
  wrong(
    () => completeSpec({ ...clusters, namespaces: [{ name: 'a' }, { name: 'b', to: 'a' }] }),
    /a and b would both be a/,
  );
  const volumes = [{ namespace: 'b', claim: 'x' }];
  wrong(() => completeSpec({ ...clusters, namespaces: [{ name: 'a' }], volumes }), /b\/x is not/);
});
