/** The demo's own processes, by name: `demo-part NAME REQUEST`; not for people. */
import {
  checkLedger,
  editLedger,
  fillLedger,
  readLedgerFiles,
  writeLedger,
} from './ledger-parts.ts';
import { addFiles, copyTree, readTree } from './mounted-parts.ts';
import { checkShop, editShop, writeShop } from './shop.ts';

type Part = (request: never) => AsyncGenerator<object>;

const parts: Readonly<Record<string, Part>> = {
  'copy-tree': copyTree,
  'read-tree': readTree,
  'add-files': addFiles,
  'write-shop': writeShop,
  'check-shop': checkShop,
  'edit-shop': editShop,
  'fill-ledger': fillLedger,
  'read-ledger-files': readLedgerFiles,
  'write-ledger': writeLedger,
  'check-ledger': checkLedger,
  'edit-ledger': editLedger,
};

/** Runs one part; what it yields goes to stdout, one JSON line each. */
export async function runPart([name = '', request = '{}']: readonly string[]): Promise<number> {
  const part = parts[name];
  if (part === undefined) return 2;
  for await (const line of part(JSON.parse(request) as never)) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
  // An input that is still open would keep the process.
  process.stdin.destroy();
  return 0;
}
