// What a file system of an application may hold beside ordinary files. Needs root.
import fs from 'node:fs';
import { join } from 'node:path';
import { must } from '../tools.ts';

export async function fillOddly(path: string): Promise<void> {
  const at = (name: string): string => join(path, name);
  fs.mkdirSync(at('database'), { mode: 0o700 });
  fs.writeFileSync(at('database/table'), 'rows', { mode: 0o600 });
  fs.chownSync(at('database/table'), 999, 998);
  fs.chownSync(at('database'), 999, 999);
  fs.linkSync(at('database/table'), at('second name'));
  fs.writeFileSync(at('line\nbreak'), 'odd');
  fs.writeFileSync(Buffer.concat([Buffer.from(at('bytes')), Buffer.from([0xff, 0xfe])]), 'odd');
  fs.symlinkSync('/etc/hostname', at('absolute'));
  fs.symlinkSync('nothing-is-there', at('dangling'));
  fs.mkdirSync(at('lost+found'));
  fs.mkdirSync(at('database/lost+found'));
  await must('mkfifo', at('fifo'));
  await must('setfacl', '-m', 'u:1234:r', at('line\nbreak'));
}
