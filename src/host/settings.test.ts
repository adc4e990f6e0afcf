import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { advertisedAddress, isEverywhere, parseListen } from './settings.ts';

suite('places to listen at', () => {
  test('are a host and a port, an address of IPv6 in brackets, or all addresses', () => {
    assert.deepEqual(parseListen('127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
    assert.deepEqual(parseListen('[fd00::1]:7400'), { host: 'fd00::1', port: 7400 });
    assert.deepEqual(parseListen('*:7400'), { host: undefined, port: 7400 });
    for (const text of ['7400', '*', 'a b:1', '*a:1', 'host:65536', 'fd00::1:7400', '']) {
      assert.throws(() => parseListen(text), { reason: 'BadArgument' }, text);
    }
  });

  test('nobody can be told to come to all addresses', () => {
    for (const text of ['*:1', '0.0.0.0:1', '[::]:1']) {
      assert.equal(isEverywhere(parseListen(text).host), true, text);
    }
    assert.equal(isEverywhere(parseListen('[::1]:1').host), false);
  });
});

suite('what peers are told', () => {
  test('an address of IPv6 gets its brackets, as the node of a pod has none', () => {
    for (const [text, told] of [
      ['fd00:10::7:7400', '[fd00:10::7]:7400'],
      ['::1:7400', '[::1]:7400'],
      ['[fd00:10::7]:7400', '[fd00:10::7]:7400'],
      ['10.0.0.7:7400', '10.0.0.7:7400'],
      ['n1.east.example.com:443', 'n1.east.example.com:443'],
    ] as const) {
      assert.equal(advertisedAddress(text), told);
    }
  });

  test('is refused without a port, or when it is no address', () => {
    for (const text of ['fd00::1', 'fd00:1:2:3:4:5:6:7', 'host', '[fd00::1]', ':7400', '']) {
      assert.throws(() => advertisedAddress(text), { reason: 'BadArgument' }, text);
    }
  });
});
