/** The server's side of the closing audit: requests are files that a client uploaded. */
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asTransshipError, fail } from '../../base/errors.ts';
import { type AuditAnswer, parseAuditRequest, workedFile } from '../../files/audit-request.ts';
import type { MoverServerConfig } from '../../files/mover-config.ts';
import { mayChroot } from './programs.ts';
import { restoreLinks } from './restore-links.ts';
import type { ServerPaths } from './server.ts';
import { writeManifest } from './walk.ts';

/** Where nobody tells of new requests. */
const lookMs = 200;
/** A client that writes all the time shall not keep us busy. */
const restMs = 10;
const requestBytesMax = 64 * 1024;
/** Clients that wait look at the file in which it is told. */
const tellMs = 1000;

/** Answers one after the other until the signal. A request without an answer is begun again. */
export async function answerRequests(
  config: MoverServerConfig,
  paths: ServerPaths,
  signal: AbortSignal,
): Promise<void> {
  const changes = watchFor(paths.requests, signal);
  while (!signal.aborted) {
    for (const name of fs.readdirSync(paths.requests)) {
      if (signal.aborted) return;
      const isNew = /^[0-9a-f]{32}\.json$/.test(name) && !fs.existsSync(join(paths.answers, name));
      if (isNew) await answer(config, paths, name);
    }
    await changes.next();
  }
}

/** `next` resolves after a change since the one before, and after `lookMs` in any case. */
function watchFor(directory: string, signal: AbortSignal): { next(): Promise<void> } {
  let isChanged = false;
  let wake: () => void = () => undefined;
  const changed = () => {
    isChanged = true;
    wake();
  };
  try {
    // Where there are too many watches already, looking has to do.
    fs.watch(directory, { signal }, changed).on('error', () => undefined);
  } catch {
    // The same.
  }
  return {
    next: async () => {
      const woken = new AbortController();
      wake = () => woken.abort();
      const until = AbortSignal.any([signal, woken.signal]);
      if (!isChanged) await delay(lookMs, undefined, { signal: until }).catch(() => undefined);
      isChanged = false;
      await delay(restMs, undefined, { signal }).catch(() => undefined);
    },
  };
}

async function answer(config: MoverServerConfig, paths: ServerPaths, name: string): Promise<void> {
  const at = join(paths.answers, name);
  const onWork = worker(join(paths.answers, workedFile));
  let answered: AuditAnswer;
  try {
    const request = parseAuditRequest(readRequest(join(paths.requests, name)));
    const module = config.modules.find((one) => one.name === request.module);
    if (module === undefined) return fail('NotFound', `there is no volume ${request.module}`);
    if (!mayChroot() && module.readOnly !== true) await restoreLinks(module.path, onWork);
    const manifest = at.replace(/json$/, 'manifest');
    answered = { summary: await writeManifest(module.path, manifest, request.scope, onWork) };
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    answered = { reason, message };
  }
  fs.writeFileSync(`${at}.new`, JSON.stringify(answered), { mode: 0o600 });
  fs.renameSync(`${at}.new`, at);
}

/** Tells from time to time that an audit goes on, by a file that was never the same before. */
function worker(path: string): () => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - toldMs < tellMs) return;
    toldMs = performance.now();
    fs.writeFileSync(`${path}.new`, randomUUID(), { mode: 0o600 });
    fs.renameSync(`${path}.new`, path);
  };
}

/** A client may have put anything there, such as a link out of the directory. */
function readRequest(path: string): string {
  const found = fs.lstatSync(path);
  if (!found.isFile() || found.size > requestBytesMax) {
    return fail('BadArgument', 'a request for an audit is a small file');
  }
  return fs.readFileSync(path, 'utf8');
}
