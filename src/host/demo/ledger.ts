/** The application without a mount: a ledger process and files, straight through NBD. */
import type { Application, Found, Place } from './application.ts';
import type { Filled } from './mounted-parts.ts';
import { readWith, startWriter, type Tree } from './mounted.ts';
import type { Programs } from './programs.ts';

export interface LedgerOptions {
  readonly programs: Programs;
  readonly command: (words: readonly string[]) => Promise<string>;
  readonly tree: Tree;
}

const paceMs = 20;
const newBytes = 800_000;

export function ledgerApplication({ programs, command, tree }: LedgerOptions): Application {
  const uris = new Map<string, string>();
  const keyOf = ({ cluster, volume }: Place) => `${cluster}/${volume}`;
  const open = async (place: Place) => {
    const { cluster, volume } = place;
    const uri = (await command(['volume', 'uri', volume, '--cluster', cluster])).trim();
    uris.set(keyOf(place), uri);
  };
  const uriOf = (place: Place) => uris.get(keyOf(place))!;
  return {
    about: 'files of a directory tree and a ledger of checksummed records, straight through NBD',
    checkName: 'every record against its checksum, and their order',
    open,
    fill: async (place) => {
      await open(place);
      const request = { ...tree, uri: uriOf(place) };
      return (await programs.run<Filled>('fill-ledger', request))[0]!;
    },
    startWriter: async (place) => {
      return startWriter(programs, 'write-ledger', { uri: uriOf(place), paceMs });
    },
    check: async (place) => {
      return (await programs.run<Found>('check-ledger', { uri: uriOf(place) }))[0]!;
    },
    readFiles: async (place, share, onFile) => {
      const request = { uri: uriOf(place), manifest: tree.manifest, share };
      return readWith(programs, 'read-ledger-files', request, onFile);
    },
    edit: async (place, edits) => {
      await programs.run('edit-ledger', { uri: uriOf(place), edits, newBytes });
    },
    close: async (place) => {
      uris.delete(keyOf(place));
    },
  };
}
