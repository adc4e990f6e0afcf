// Wrong words on the command line end with 2, say what is right, and change nothing.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Agent, type Cloud, startCloud } from '../cloud.ts';

let cloud: Cloud;
let east: Agent;

before(async () => {
  cloud = await startCloud(['east', 'west'], { planes: true });
  east = cloud.agent('east');
  await east.create('db', 4 * 1024 * 1024);
  await cloud.adopted('east', 'db');
});
after(() => cloud.close());

const wrong: readonly (readonly [words: readonly string[], says: RegExp])[] = [
  [['volume', 'create', 'x', '--size', '1Ki'], /1\s?Mi/],
  [['volume', 'create', 'x', '--size', '65Ti'], /64\s?Ti/],
  [['volume', 'create', 'x', '--size', 'ten'], /10Gi|size/],
  [['volume', 'create', 'x', '--size', '-5Gi'], /size/],
  [['volume', 'create', 'x', '--size', '1Gi', '--block-size', '5Ki'], /64Ki/],
  [['volume', 'create', 'Nö', '--size', '1Gi'], /lower-case/],
  [['volume', 'create', 'x'], /--size/],
  [['volume', 'create', 'x', '--size', '1Gi', '--sise', '1Gi'], /unknown option/],
  [['volume', 'creat', 'x'], /create/],
  [['volume', 'resize', 'db', '--size', '1Mi'], /never shrink/],
  [['volume', 'clone', 'db', '--at', 'yesterday'], /time|RFC 3339/],
  [['volume', 'restore', 'db', '--at', '5m', '--snapshot', 's', '--yes'], /one of/],
  [['volume', 'list', '-o', 'xml'], /json/],
  [['teleport', 'db', '--to', 'west'], /--from/],
  [['teleport', 'db', '--from', 'west', '--to', 'west'], /same/],
  [['teleport', 'db', '--from', 'east', '--to', 'west', '--rate', 'fast'], /rate/],
  [['history-policy', 'create', 'p', '--seconds', '9999d'], /1d at most/],
  [['up', 'east', 'east', '--detach'], /twice/],
  [['up', 'Ä', '--detach'], /lower-case/],
  [['frobnicate'], /unknown command/],
];

for (const [words, says] of wrong) {
  test(`transship ${words.join(' ')}`, async () => {
    const { code, stdout, stderr } = await cloud.cli(...words, ...clusterOf(words));
    assert.equal(code, 2, `${code}: ${stderr}`);
    assert.match(stderr, says);
    assert.equal(stdout, '', 'nothing but data goes to stdout');
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack');
    assert.deepEqual(await east.volumeNames(), ['db']);
    assert.equal((await east.volume('db')).status.sizeBytes, 4 * 1024 * 1024);
    assert.deepEqual(await cloud.agent('west').volumeNames(), []);
  });
}

function clusterOf([first]: readonly string[]): readonly string[] {
  return first === 'volume' || first === 'history-policy' ? ['--cluster', 'east'] : [];
}
