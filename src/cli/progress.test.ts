import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobObject } from '../api/objects.ts';
import { apiVersion } from '../api/objects.ts';
import { createFakeTerminal, fakeNowMs, metadata, teleportObject } from './fake-ports.ts';
import {
  jobView,
  ProgressPainter,
  RateMeter,
  renderBar,
  renderLine,
  teleportView,
} from './progress.ts';

const clockAt = (monotonic: { ms: number }) => ({
  wallMs: () => fakeNowMs,
  monotonicMs: () => monotonic.ms,
  after: () => ({ cancel: () => undefined }),
});

function job(
  doneBytes: number,
  totalBytes: number,
  phase: JobObject['status']['phase'],
): JobObject {
  return {
    kind: 'Job',
    apiVersion,
    metadata: metadata('import-1'),
    spec: { type: 'Import', target: 'db' },
    status: { phase, doneBytes, totalBytes },
  };
}

test('a bar shows both lanes of a teleport', () => {
  assert.deepEqual(renderBar(teleportView(teleportObject('db-a1')), 100), [
    'db-a1  Accessible  [######################..................]   55%  105.0 MiB/s  44s left',
    '  5.5 GiB of 10.0 GiB: on demand 512.0 MiB, background 4.0 GiB, there before 1.0 GiB',
  ]);
});

test('a bar shrinks with the terminal and is never wider', () => {
  const view = teleportView(teleportObject('db-a1'));
  for (const columns of [20, 40, 60, 80, 120, 200]) {
    for (const line of renderBar(view, columns)) assert.ok(line.length < columns, `${columns}`);
  }
});

test('a line for logs', () => {
  const line = renderLine(teleportView(teleportObject('db-a1')), fakeNowMs);
  assert.equal(
    line,
    '2026-01-31T12:00:00Z db-a1 Accessible 55%, 5.5 GiB of 10.0 GiB, on demand 512.0 MiB, ' +
      'background 4.0 GiB, there before 1.0 GiB, 105.0 MiB/s, 44s left',
  );
});

test('100 % is shown only when it is done', () => {
  assert.equal(jobView(job(0, 0, 'Running'), 0).percent, '0%');
  assert.equal(jobView(job(1000, 1000, 'Running'), 0).percent, '99%');
  assert.equal(jobView(job(1000, 1000, 'Succeeded'), 0).percent, '100%');
  const almost = teleportObject('x');
  const status = { ...almost.status, progress: { ...almost.status.progress, missingBytes: 0 } };
  assert.equal(teleportView({ ...almost, status }).percent, '99%');
});

test('the painter redraws on a terminal and writes few lines elsewhere', () => {
  const monotonic = { ms: 0 };
  const bars = createFakeTerminal(true, 100);
  const painter = new ProgressPainter(bars, clockAt(monotonic), true);
  painter.show(teleportView(teleportObject('x')));
  painter.show(teleportView(teleportObject('x')));
  assert.equal(bars.written.err.split('\u001b[2A\r\u001b[J').length, 2);

  const lines = createFakeTerminal();
  const writer = new ProgressPainter(lines, clockAt(monotonic), false);
  const counted = () => lines.written.err.trimEnd().split('\n').length;
  const view = teleportView(teleportObject('x'));
  for (; monotonic.ms < 12_000; monotonic.ms += 100) {
    writer.show({ ...view, doneBytes: view.doneBytes + monotonic.ms * 2 ** 20 });
  }
  assert.equal(counted(), 3);
  // The same words again, now and then, say that it goes on.
  for (; monotonic.ms < 100_000; monotonic.ms += 100) writer.show(view);
  assert.equal(counted(), 5);
  assert.equal(lines.written.err.includes('\u001b'), false);
});

test('the rate is over the last samples', () => {
  const meter = new RateMeter();
  assert.equal(meter.sample(0, 0), 0);
  assert.equal(meter.sample(1000, 500), 500);
  for (let second = 2; second < 30; second += 1) meter.sample(second * 1000, 500);
  assert.equal(meter.sample(30_000, 500), 0);
});
