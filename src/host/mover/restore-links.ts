/** Makes the links of a volume what they are at the source (`munge symlinks`, rsyncd.conf(5)). */
import fs from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { mungedPrefix } from '../../files/rsyncd-config.ts';

const prefix = Buffer.from(mungedPrefix);
const slash = Buffer.from('/');

/** Takes the prefix off all links below `root`. Cut anywhere, it is done by the next call. */
export async function restoreLinks(root: string, onWork: () => void): Promise<void> {
  const waiting: Buffer[] = [Buffer.from(root)];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    await setImmediate();
    onWork();
    const { atime, mtime } = fs.lstatSync(at);
    let isChanged = false;
    for (const name of fs.readdirSync(at, { encoding: 'buffer' }) as Buffer[]) {
      const path = Buffer.concat([at, slash, name]);
      const found = fs.lstatSync(path);
      if (found.isDirectory()) waiting.push(path);
      if (found.isSymbolicLink() && restore(path, found)) isChanged = true;
    }
    if (isChanged) setTimes(at, atime, mtime);
  }
}

function restore(path: Buffer, found: fs.Stats): boolean {
  const target = fs.readlinkSync(path, { encoding: 'buffer' });
  if (!target.subarray(0, prefix.length).equals(prefix)) return false;
  const fresh = Buffer.concat([path, Buffer.from('.transship-link')]);
  fs.rmSync(fresh, { force: true });
  fs.symlinkSync(target.subarray(prefix.length), fresh);
  fs.lchownSync(fresh, found.uid, found.gid);
  fs.lutimesSync(fresh, found.atime, found.mtime);
  fs.renameSync(fresh, path);
  return true;
}

/** The volume's own directory may be the node's. */
function setTimes(directory: Buffer, atime: Date, mtime: Date): void {
  try {
    fs.utimesSync(directory, atime, mtime);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
}
