/** The chapters of the demo, in order. What a claim says was checked where it is made. */
import type { TeleportObject } from '../../api/objects.ts';
import { formatBytes, formatMoment } from '../../base/units.ts';
import { type Application, everyFile, type Found, type Writer } from './application.ts';
import { compareVolumes } from './compare.ts';
import { DemoFailure } from './narrator.ts';
import type { Stage } from './stage.ts';
import { wireDelayMs } from './stage.ts';

export const steps = 9;

export const volume = 'shop';
export const size = '16Gi';
const atEast = { cluster: 'east', volume };
const atWest = { cluster: 'west', volume };

/** What later chapters and the closing table need of earlier ones. */
export interface Facts {
  readonly writer: Writer;
  readonly dataBytes: number;
  readonly uniqueBytes: number;
  readonly storedBytes: number;
  /** The last record that was durable before the teleport's moment. */
  readonly durable: number;
  readonly there: TeleportObject;
  readonly thereMs: number;
}

export async function joinClusters(stage: Stage): Promise<void> {
  const { narrator, programs } = stage.o;
  narrator.step('Two clusters, each with an API server and a pool, that trust each other');
  narrator.say(
    `They reach each other through wires of ours only: ${wireDelayMs * 2} ms of round trip, ` +
      'and they can be cut.',
  );
  await stage.start('east');
  await stage.start('west');
  await stage.command(['cluster', 'add', 'east', '--cluster', 'west']);
  await programs.transship(['cluster', 'check', 'east', '--cluster', 'west']);
  const report = await stage.west.call('cluster.check', { name: 'east' });
  const link = report.findings.find(({ check }) => check === 'link');
  narrator.claim(report.passed, `west reaches east: ${link?.message}`);
  const back = await stage.east.call('cluster.check', { name: 'west' });
  narrator.claim(back.passed, 'east reaches west, and each has proven who it is');
  await stage.until('both clusters are ready', async () => {
    const ready = await clustersReady(stage);
    return ready.length === 2;
  });
  const ready = await clustersReady(stage);
  narrator.claim(
    ready.length === 2,
    `the API of west says of ${ready.join(' and ')}: condition Ready=True`,
  );
}

interface Listed {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status?: {
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
  }[];
}

/** Names of the Cluster objects at west whose condition Ready is True. */
async function clustersReady(stage: Stage): Promise<readonly string[]> {
  const words = ['get', 'clusters', '--cluster', 'west', '-o', 'json'];
  const { items } = JSON.parse(await stage.o.programs.transship(words)) as Listed;
  const isReady = ({ status }: Listed['items'][number]) =>
    status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
  return items.filter(isReady).map(({ metadata }) => metadata.name);
}

/** The volume is made, filled, and written to from here on. */
export async function makeDisk(
  stage: Stage,
  application: Application,
): Promise<{ readonly writer: Writer }> {
  const { narrator } = stage.o;
  narrator.step(`A disk at east: ${application.about}`);
  const policy = 'every-second';
  await stage.command(['history-policy', 'create', policy, '--seconds', '1h', '--cluster', 'east']);
  const create = ['volume', 'create', volume, '--size', size, '--history-policy', policy];
  await stage.command([...create, '--cluster', 'east']);
  const filled = await application.fill(atEast);
  narrator.claim(
    filled.files > 0,
    `${filled.files} files, ${formatBytes(filled.bytes)}, are on it, each with its checksum noted`,
  );
  const writer = await application.startWriter(atEast);
  await stage.until('the writer has written', async () => writer.acknowledged.length >= 100);
  narrator.claim(
    writer.acknowledged.length >= 100,
    `a writer changes its database: ${writer.acknowledged.length} transactions so far, ` +
      'each flushed to the volume before the next',
  );
  return { writer };
}

/** Long enough to look at things while data is on its way. */
const wantedSeconds = 45;

export async function teleportThere(stage: Stage, writer: Writer): Promise<Facts> {
  const { narrator } = stage.o;
  narrator.step('Teleport to west while the writer runs');
  const durable = writer.acknowledged.at(-1)!.sequence;
  await stage.command(['volume', 'snapshot', volume, 'departure', '--cluster', 'east']);
  const { items } = await stage.east.call('pool.list', {});
  const { uniqueBytes, storedBytes } = items[0]!.status;
  const rate = `${Math.max(1, Math.ceil(storedBytes / wantedSeconds / 2 ** 20))}MiB/s`;
  narrator.say(`Its background fetch is held at ${rate}, or it would be over before we look.`);
  narrator.say('A teleport is an object of the API; this is what anybody sees who watches:');
  const watched = stage.watchTeleports('west');
  const beganMs = stage.o.clock.monotonicMs();
  const ends = ['--from', 'east', '--to', 'west', '--snapshot', 'departure'];
  await stage.command(['teleport', volume, ...ends, '--rate', rate]);
  const thereMs = stage.o.clock.monotonicMs() - beganMs;
  await stage.until('the watch shows it', async () => watched.rows.some(isAccessible));
  await watched.end();
  narrator.claim(watched.rows.some(isAccessible), 'the watch said so: Accessible');
  await stage.command(['volume', 'snapshot', volume, 'arrival', '--cluster', 'west']);
  const there = await stage.west.call('teleport.show', { name: volume });
  const { phase, progress, accessibleAfterMs = 0 } = there.status;
  const missing = formatBytes(progress.missingBytes);
  narrator.claim(
    phase === 'Accessible' && progress.missingBytes > 0,
    `Accessible at west after ${Math.round(accessibleAfterMs)} ms ` +
      `(${Math.round(thereMs)} ms with the command's own start); ${missing} are still at east`,
  );
  const { length } = writer.acknowledged;
  await stage.until('the writer goes on', async () => writer.acknowledged.length > length);
  narrator.claim(writer.acknowledged.length > length, 'the writer at east was not stopped');
  const dataBytes = progress.totalBytes;
  return { writer, dataBytes, uniqueBytes, storedBytes, durable, there, thereMs };
}

function isAccessible(row: string): boolean {
  return /\bAccessible\b/.test(row);
}

function isAvailable(row: string): boolean {
  return /\bAvailable\b/.test(row);
}

function rightOrFail(found: Found): Found {
  const [problem] = found.problems;
  if (problem !== undefined) throw new DemoFailure(`the database is damaged: ${problem}`);
  return found;
}

export async function useAtOnce(
  stage: Stage,
  application: Application,
  facts: Facts,
): Promise<void> {
  const { narrator } = stage.o;
  narrator.step('Open it at west at once');
  await application.open(atWest);
  const found = rightOrFail(await application.check(atWest));
  narrator.claim(found.problems.length === 0, `the database is sound: ${application.checkName}`);
  narrator.claim(
    found.records >= facts.durable,
    `all ${facts.durable} transactions that were durable at the teleport's moment are there ` +
      `(${found.records} in all)`,
  );
  const files = await application.readFiles(atWest, { nth: 97, first: 0 });
  narrator.claim(
    files.length > 0 && files.every(({ right }) => right),
    `${files.length} files read here and there have their checksums`,
  );
  const { progress, phase } = (await stage.west.call('teleport.show', { name: volume })).status;
  narrator.claim(
    phase === 'Accessible' && progress.demandBytes > 0,
    `two lanes: ${formatBytes(progress.demandBytes)} because somebody read them, ` +
      `${formatBytes(progress.backgroundBytes)} in the background`,
  );
}

async function sourceConnected(stage: Stage): Promise<string> {
  const { status } = await stage.volume(stage.west, volume);
  const condition = status.conditions.find(({ type }) => type === 'SourceConnected');
  return `${status.phase} ${condition?.status}`;
}

const editsWhileCut = 10;
/** How long a read may make no progress before we say that it waits. */
const stillMs = 1500;

/** Returns what ends when the link is back. */
export async function loseTheLink(
  stage: Stage,
  application: Application,
): Promise<{ readonly reading: Promise<void> }> {
  const { narrator } = stage.o;
  narrator.step('Cut the link');
  stage.cutWires();
  await stage.until('west notices', async () => (await sourceConnected(stage)).endsWith('False'));
  const state = await sourceConnected(stage);
  narrator.claim(state === 'Accessible False', 'west says so: Accessible, SourceConnected=False');
  rightOrFail(await application.check(atWest));
  narrator.claim(true, 'what is at west already reads on: the database was checked again');
  const editing = application.edit(atWest, editsWhileCut);
  // Awaited below or after the link is back.
  editing.catch(() => undefined);
  const done = await Promise.race([editing.then(() => true), stage.pause(5000)]);
  if (done === true) narrator.claim(true, `and writes on: ${editsWhileCut} new transactions`);
  else narrator.say('A write has to read what only east has first: it waits.');
  let read = 0;
  const all = application.readFiles(atWest, { nth: 601, first: 300 }, () => (read += 1));
  all.catch(() => undefined);
  const ended = { now: false };
  void all.finally(() => (ended.now = true)).catch(() => undefined);
  for (let before = -1; before < read && !ended.now; ) {
    before = read;
    await stage.pause(stillMs);
  }
  const hasWaited = !ended.now || done !== true;
  if (ended.now) narrator.say('All files that were asked for are at west already.');
  else
    narrator.say(`A reader asked for more files and got ${read}; the next is at east: it waits.`);
  const after = await sourceConnected(stage);
  const { missingBytes } = (await stage.volume(stage.west, volume)).status;
  narrator.claim(
    after === 'Accessible False' && missingBytes > 0,
    `the phase is still Accessible, never Available: ${formatBytes(missingBytes)} are missing`,
  );
  const reading = Promise.all([all, editing]).then(([files]) => {
    narrator.claim(
      files.every(({ right }) => right),
      hasWaited
        ? `what waited went on by itself: ${files.length} files, every checksum is right`
        : `all ${files.length} files have their checksums`,
    );
  });
  reading.catch(() => undefined);
  return { reading };
}

export async function becomeAvailable(
  stage: Stage,
  application: Application,
  reading: Promise<void>,
): Promise<TeleportObject> {
  const { narrator } = stage.o;
  narrator.step('Restore the link; fetch the rest; compare');
  stage.restoreWires();
  await reading;
  const watched = stage.watchTeleports('west');
  await stage.command(['teleport', 'fill', volume, '--rate', '1GiB/s', '--cluster', 'west']);
  await stage.until('the watch shows it', async () => watched.rows.some(isAvailable));
  await watched.end();
  const last = await stage.west.call('teleport.show', { name: volume });
  narrator.claim(
    last.status.phase === 'Available' && last.status.progress.missingBytes === 0,
    'Available: nothing is missing',
  );
  const clone = ['volume', 'clone', volume];
  await stage.command([...clone, 'departed', '--snapshot', 'departure', '--cluster', 'east']);
  await stage.command([...clone, 'arrived', '--snapshot', 'arrival', '--cluster', 'west']);
  await verify(stage, { volume: 'arrived', cluster: 'west', peer: 'east/departed' });
  const uris = [
    (await stage.east.call('volume.uri', { volume: 'departed' })).uri,
    (await stage.west.call('volume.uri', { volume: 'arrived' })).uri,
  ] as const;
  const { equal, comparedBytes } = await compareVolumes(...uris);
  const compared = formatBytes(comparedBytes);
  narrator.claim(equal, `read through NBD at both sides, byte by byte: ${compared} are equal`);
  const files = await application.readFiles(atWest, everyFile);
  narrator.claim(
    files.every(({ right }) => right),
    `all ${files.length} files of the tree have their checksums at west`,
  );
  return last;
}

async function verify(
  stage: Stage,
  what: { readonly volume: string; readonly cluster: string; readonly peer: string },
): Promise<void> {
  const words = ['volume', 'verify', what.volume, '--with', what.peer, '--deep'];
  const out = await stage.command([...words, '--cluster', what.cluster, '-o', 'json']);
  const report = JSON.parse(out) as {
    readonly passed: boolean;
    readonly findings: readonly { readonly message: string }[];
  };
  stage.o.narrator.claim(
    report.passed && report.findings.length === 2,
    report.findings.map(({ message }) => message).join('; '),
  );
}

export async function teleportBack(
  stage: Stage,
  application: Application,
  there: TeleportObject,
): Promise<TeleportObject> {
  const { narrator } = stage.o;
  narrator.step('Edit at west, and teleport the edited version back under another name');
  await application.edit(atWest, 50);
  const edited = rightOrFail(await application.check(atWest));
  await application.close(atWest);
  narrator.say(`${edited.edits} transactions and some new data were written at west.`);
  const ends = ['--from', 'west', '--to', 'east', '--name', 'shop-edited'];
  await stage.command(['teleport', volume, ...ends, '--wait']);
  const back = await stage.east.call('teleport.show', { name: 'shop-edited' });
  const { progress } = back.status;
  const share = progress.wireBytes / there.status.progress.wireBytes;
  narrator.claim(
    back.status.phase === 'Available' && share < 0.2,
    `only the difference travelled: ${formatBytes(progress.wireBytes)} on the wire for ` +
      `${formatBytes(progress.totalBytes)} of data ` +
      `(the first time: ${formatBytes(there.status.progress.wireBytes)})`,
  );
  await verify(stage, { volume, cluster: 'west', peer: 'east/shop-edited' });
  const place = { cluster: 'east', volume: 'shop-edited' };
  await application.open(place);
  const found = rightOrFail(await application.check(place));
  await application.close(place);
  narrator.claim(
    found.records === edited.records && found.edits === edited.edits,
    `the edited database is sound at east: ${found.records} transactions, ` +
      `${found.edits} of them made at west`,
  );
  return back;
}

/** Points are made once a second, and a write may come just after one. */
const granularityMs = 2000;

export async function goBackInTime(
  stage: Stage,
  application: Application,
  writer: Writer,
): Promise<void> {
  const { narrator } = stage.o;
  narrator.step('A second in the past');
  const { acknowledged } = writer;
  // About the middle: there is history before it and much after it.
  const middle = acknowledged[Math.floor(acknowledged.length / 2)]!;
  const atMs = Math.ceil(middle.ackedMs / 1000) * 1000;
  const at = formatMoment(atMs);
  const must = acknowledged.filter(({ ackedMs }) => ackedMs <= atMs - granularityMs).length;
  const may = acknowledged.filter(({ beganMs }) => beganMs <= atMs).length;
  await stage.command(['volume', 'clone', volume, 'then', '--at', at, '--cluster', 'east']);
  const then = { cluster: 'east', volume: 'then' };
  await application.open(then);
  const found = rightOrFail(await application.check(then));
  await application.close(then);
  narrator.claim(
    found.records >= must && found.records <= may && found.lastMadeMs <= atMs,
    `the clone has ${found.records} transactions, all from before that second; ` +
      `now there are ${acknowledged.length}`,
  );
  await writer.stop();
  await application.close(atEast);
  await stage.command(['volume', 'restore', volume, '--at', at, '--yes', '--cluster', 'east']);
  await stage.command(['volume', 'clone', volume, 'again', '--at', at, '--cluster', 'east']);
  const [restored, again] = [
    await stage.volume(stage.east, volume),
    await stage.volume(stage.east, 'again'),
  ];
  narrator.claim(
    restored.status.root === again.status.root,
    `restored in place: root ${restored.status.root.slice(0, 12)} is that of the second`,
  );
  await application.open(atEast);
  const now = rightOrFail(await application.check(atEast));
  await application.close(atEast);
  narrator.claim(
    now.records === found.records,
    `the restored database is sound and has the same ${now.records} transactions`,
  );
}
