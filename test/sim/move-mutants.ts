/** Migrations that are broken on purpose, at the door between their controllers and a cluster. */
import { gunzipSync, gzipSync } from 'node:zlib';
import type { KubeRequest, KubeResponse, KubeTransport } from '../../src/kube/transport.ts';
import type { Story } from './move-story.ts';
import { nameOf } from './move-trouble.ts';
import { allHooks } from './move-shop.ts';
import type { MoveMutation, SideName } from './move-world.ts';

export interface MoveMutant {
  readonly promise: string;
  readonly story: Story;
  readonly mutation: MoveMutation;
}

type Spoil = (request: KubeRequest, send: KubeTransport) => Promise<KubeResponse> | undefined;

const cutover = { name: 'go', spec: { type: 'Cutover' }, inCase: 'retry' } as const;
const canceled: Story = {
  plan: {},
  chapters: [{ ...cutover, cancelAtMs: 8_000 }],
  trouble: { kind: 'none' },
};
const quiet = { kind: 'none' } as const;
const full: Story = {
  plan: { images: 'Auto', hooks: allHooks },
  chapters: [cutover],
  trouble: quiet,
};
const back = { name: 'back', spec: { type: 'Rollback' }, inCase: 'retry' } as const;
const there: Story = { plan: {}, chapters: [cutover, back], trouble: quiet };
const teleported: Story = { plan: {}, storage: 'Agents', chapters: [cutover], trouble: quiet };
const paused: Story = {
  plan: {},
  chapters: [{ ...cutover, pauseAt: 'go/copyAhead' }],
  trouble: quiet,
};
const whole: Story = { plan: {}, chapters: [cutover], trouble: { kind: 'none' } };

function mutant(
  promise: string,
  story: Story,
  spoils: Partial<Record<SideName, Spoil>>,
): MoveMutant {
  const transport = (send: KubeTransport, cluster: SideName): KubeTransport => {
    return (request) => spoils[cluster]?.(request, send) ?? send(request);
  };
  return { promise, story, mutation: { transport } };
}

/** The answer in other words. */
async function answered(
  answer: Promise<KubeResponse>,
  change: (text: string) => string,
): Promise<KubeResponse> {
  const { status, headers, body } = await answer;
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  const text = change(Buffer.concat(parts).toString('utf8'));
  return { status, headers, body: once(Buffer.from(text)) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function isAbout({ path }: KubeRequest, ...words: readonly string[]): boolean {
  return words.every((word) => path.includes(word));
}

/** Asks for the object instead of changing it, and takes that for the change. */
function onlyLook(request: KubeRequest, send: KubeTransport): Promise<KubeResponse> {
  const { body: _, ...rest } = request;
  return send({ ...rest, method: 'GET' });
}

/** Lists have no pod. */
const withoutPods = (): Spoil => (request, send) => {
  if (nameOf(request) !== 'GET pods' || !request.path.includes('/pods?')) return undefined;
  return answered(send(request), (text) => {
    const list = JSON.parse(text) as object;
    return JSON.stringify({ ...list, items: [] });
  });
};

const dropped =
  (name: string, ...words: readonly string[]): Spoil =>
  (request, send) =>
    nameOf(request) === name && isAbout(request, ...words) ? onlyLook(request, send) : undefined;

function textOf({ body }: KubeRequest): string {
  return Buffer.from(body ?? []).toString('utf8');
}

function sendText(
  request: KubeRequest,
  send: KubeTransport,
  change: (text: string) => string,
): Promise<KubeResponse> {
  return send({ ...request, body: Buffer.from(change(textOf(request))) });
}

/** What it writes down about a hook that runs is lost, and each Job has a name of its own. */
const forgetfulOfHooks: Spoil = (request, send) => {
  const name = nameOf(request);
  if (name === 'PATCH configmaps' && textOf(request).includes('"Running"')) {
    return onlyLook(request, send);
  }
  if (name !== 'POST jobs') return undefined;
  return sendText(request, send, (text) =>
    text.replace(/"name":"(hook-[^"]*)"/, '"generateName":"$1-"'),
  );
};

/** Says that an image is there before it is. */
const copiedAtOnce: Spoil = (request, send) => {
  if (nameOf(request) !== 'PATCH imagetransfers') return undefined;
  return sendText(request, send, (text) =>
    text.replace(/"phase":"(Pending|Running)"/, '"phase":"Succeeded"'),
  );
};

export const moveMutants: Readonly<Record<string, MoveMutant>> = {
  'source-not-proven': mutant('the last copy begins when nobody writes', whole, {
    east: withoutPods(),
  }),
  'copy-not-awaited': mutant('what starts has all that was copied', whole, {
    east: (request, send) =>
      nameOf(request) !== 'GET log'
        ? undefined
        : answered(send(request), (text) => text.replace('"type":"Progress"', doneWords)),
  }),
  'stop-not-done': mutant('nothing starts while it runs elsewhere', whole, {
    east: (request, send) =>
      dropped('PATCH deployments')(request, send) ?? noDeployments(request, send),
  }),
  'record-forgotten': mutant('what was stopped is started again', canceled, {
    east: (request, send) =>
      nameOf(request) !== 'GET secrets' || !isAbout(request, 'transship-undo-stopped')
        ? undefined
        : answered(send(request), (text) => forgetFirst(text)),
  }),
  'fence-stays': mutant('nothing of ours is left after a cancel', canceled, {
    east: dropped('DELETE resourcequotas'),
  }),
  'policy-stays': mutant('reclaim policies are put back', canceled, {
    east: (request, send) =>
      request.body !== undefined && String(request.body).includes('"Delete"')
        ? dropped('PATCH persistentvolumes')(request, send)
        : undefined,
  }),
  'teleported-while-it-runs': mutant('agents open a volume when nobody uses it', teleported, {
    east: withoutPods(),
  }),
  'hook-runs-again': mutant('a hook runs once', full, { east: forgetfulOfHooks }),
  'image-not-copied': mutant('what runs there has its image there', full, { east: copiedAtOnce }),
  'image-not-rewritten': mutant('what runs there uses the registry there', full, {
    west: (request, send) =>
      nameOf(request) !== 'POST deployments'
        ? undefined
        : sendText(request, send, (text) => text.replace('registry.west', 'registry.east')),
  }),
  'pause-not-seen': mutant('nothing begins while it is paused', paused, {
    east: (request, send) =>
      nameOf(request)?.endsWith(' migrations') !== true
        ? undefined
        : answered(send(request), (text) => text.replaceAll('"paused":true', '"paused":false')),
  }),
  'records-stay': mutant('a rollback leaves no record behind', there, {
    east: dropped('DELETE secrets', 'transship-undo-'),
  }),
  'helpers-stay': mutant('helpers go with the copy', whole, {
    west: dropped('DELETE secrets', '-server'),
  }),
};

const doneWords =
  '"type":"Done","attempts":1,"stats":{"files":1,"totalBytes":1,"sentBytes":1},"notes":[],' +
  '"audit":{"entries":1,"bytes":1,"digest":"d","contentCompared":false}';

/** As if the Deployments had been scaled. */
function noDeployments(request: KubeRequest, send: KubeTransport) {
  const name = nameOf(request);
  if (name !== 'GET deployments' && name !== 'GET pods' && name !== 'GET replicasets') {
    return undefined;
  }
  if (!request.path.includes('?')) return undefined;
  return answered(send(request), (text) => {
    const list = JSON.parse(text) as { readonly items?: readonly object[] };
    const items = (list.items ?? []).filter((one) => !JSON.stringify(one).includes('"web'));
    return JSON.stringify({ ...list, items });
  });
}

function forgetFirst(text: string): string {
  const secret = JSON.parse(text) as { readonly data?: { readonly records?: string } };
  const packed = secret.data?.records;
  if (packed === undefined) return text;
  const records = JSON.parse(gunzipSync(Buffer.from(packed, 'base64')).toString()) as unknown[];
  const kept = gzipSync(JSON.stringify(records.slice(1))).toString('base64');
  return JSON.stringify({ ...secret, data: { records: kept } });
}
