import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RsyncOutput, type RsyncProgress } from './rsync-progress.ts';

const printed =
  '\r              3   0%    0.00kB/s    0:00:00  ' +
  '\r              3   0%    1.50MB/s    0:00:00 (xfr#1, ir-chk=1000/1003)' +
  '\r        3000003 100%  168.30kB/s    0:00:00 (xfr#2, to-chk=0/3)\n' +
  '\nNumber of files: 3 (reg: 2, dir: 1)\nNumber of created files: 2 (reg: 2)\n' +
  'Number of deleted files: 1 (reg: 1)\nNumber of regular files transferred: 2\n' +
  'Total file size: 3000003 bytes\nLiteral data: 4 bytes\nMatched data: 2999999 bytes\n' +
  'Total bytes sent: 3000900\n';

function read(pieces: readonly string[]) {
  const told: RsyncProgress[] = [];
  const output = new RsyncOutput((progress) => told.push(progress));
  for (const piece of pieces) output.push(piece);
  output.end();
  return { told, stats: output.stats };
}

test('progress and statistics are read', () => {
  const { told, stats } = read([printed]);
  const first = { percent: 0, bytes: 3, bytesPerSecond: 0, files: 0, listing: false };
  assert.deepEqual(told, [
    first,
    { ...first, bytesPerSecond: 1.5 * 2 ** 20, files: 1, listing: true },
    { percent: 100, bytes: 3000003, bytesPerSecond: 172_339, files: 2, listing: false },
  ]);
  assert.deepEqual(stats, {
    files: 3,
    transferredFiles: 2,
    totalBytes: 3000003,
    literalBytes: 4,
    matchedBytes: 2999999,
    sentBytes: 3000900,
    deletedFiles: 1,
  });
});

test('where the output is cut changes nothing', () => {
  const whole = read([printed]);
  const cuts = fc.array(fc.integer({ min: 0, max: printed.length }), { maxLength: 20 });
  fc.assert(
    fc.property(cuts, (places) => {
      const at = [0, ...places.toSorted((a, b) => a - b), printed.length];
      const pieces = at.slice(1).map((end, index) => printed.slice(at[index], end));
      assert.deepEqual(read(pieces), whole);
    }),
  );
});
