import type { ControlPlane } from './control-plane.ts';

interface Found {
  readonly header: { readonly revision: string };
}

/** Where API servers tell each other what was dropped. */
const compactedKey = 'compact_rev_key';

/**
 * Drops all versions but the newest, which an API server does by itself every few minutes, and
 * lets it know. It keeps recent versions in memory and looks only every 15 seconds for what was
 * dropped: a list that is continued from before answers 410 then, or at once after a restart.
 * A watch from before a restart answers 410 without this. Resolves with the revision that is left.
 */
export async function compactHistory({ etcdUrl }: ControlPlane): Promise<string> {
  const post = async (path: string, body: object): Promise<unknown> => {
    const answer = await fetch(etcdUrl + path, { method: 'POST', body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const key = btoa(compactedKey);
  const { revision } = ((await post('/v3/kv/range', { key })) as Found).header;
  await post('/v3/kv/put', { key, value: btoa(revision) });
  await post('/v3/kv/compaction', { revision, physical: true });
  return revision;
}
