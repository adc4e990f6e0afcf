/** Real data: an ext4 file system of a part of the files here, and the same some time later. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Programs } from './programs.ts';

const MiB = 1024 * 1024;
const places = ['/usr/lib', '/usr/share', '/usr/include', '/usr/bin', '/opt', '/var/lib'];

export interface Image {
  readonly path: string;
  readonly sizeBytes: number;
  /** What is not a hole. */
  readonly dataBytes: number;
}

/** Made when first asked for, kept for the run. */
export class Images {
  readonly #programs: Programs;
  readonly #directory: string;
  readonly #sizeBytes: number;
  #first: Promise<Image> | undefined;
  #later: Promise<Image> | undefined;

  constructor(programs: Programs, directory: string, sizeBytes: number) {
    this.#programs = programs;
    this.#directory = directory;
    this.#sizeBytes = sizeBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  first(): Promise<Image> {
    this.#first ??= this.#make();
    return this.#first;
  }

  /** The same file system after files were added, replaced and removed inside it. */
  later(): Promise<Image> {
    this.#later ??= this.#evolve();
    return this.#later;
  }

  async #make(): Promise<Image> {
    const tree = join(this.#directory, 'tree');
    const path = join(this.#directory, 'first.img');
    fs.mkdirSync(tree);
    const chosen = await this.#choose(this.#sizeBytes * 0.7);
    for (const [i, from] of chosen.entries()) {
      // Some files may be unreadable to who runs this: the rest does.
      await this.#programs.run('cp', ['-a', from, join(tree, String(i))], { accept: [1] });
    }
    const size = `${this.#sizeBytes / MiB}M`;
    await this.#programs.run('mkfs.ext4', ['-q', '-F', '-d', tree, path, size]);
    fs.rmSync(tree, { recursive: true, force: true });
    return this.#look(path);
  }

  /** Directories in the order of their names, until there is enough. */
  async #choose(enough: number): Promise<string[]> {
    const chosen: string[] = [];
    let bytes = 0;
    for (const place of places.filter((one) => fs.existsSync(one))) {
      for (const entry of fs.readdirSync(place, { withFileTypes: true })) {
        if (!entry.isDirectory()) continue;
        const path = join(place, entry.name);
        const { output } = await this.#programs.run('du', ['-sk', path], { accept: [1] });
        const size = Number.parseInt(output, 10) * 1024;
        if (bytes + size > enough) continue;
        bytes += size;
        chosen.push(path);
      }
    }
    return chosen;
  }

  async #evolve(): Promise<Image> {
    const { path: first } = await this.first();
    const path = join(this.#directory, 'later.img');
    await this.#programs.run('cp', ['--sparse=always', first, path]);
    const script = join(this.#directory, 'changes');
    fs.writeFileSync(script, changes(this.#sizeBytes / 20));
    await this.#programs.run('debugfs', ['-w', '-f', script, path]);
    // rsync decides by size and time whether to look at all.
    const soon = new Date(Date.now() + 60_000);
    fs.utimesSync(path, soon, soon);
    return this.#look(path);
  }

  /** Read once, so that no contender pays for the disk. */
  async #look(path: string): Promise<Image> {
    await this.#programs.shell(`cat '${path}' > /dev/null`);
    const { size, blocks } = fs.statSync(path);
    return { path, sizeBytes: size, dataBytes: blocks * 512 };
  }
}

/** New programs, as an upgrade brings them, and some of the old ones gone. */
function changes(bytes: number): string {
  const lines = ['mkdir /upgrade'];
  let left = bytes;
  for (const place of ['/usr/bin', '/usr/sbin', '/usr/lib/x86_64-linux-gnu', '/usr/lib']) {
    if (!fs.existsSync(place)) continue;
    for (const entry of fs.readdirSync(place, { withFileTypes: true })) {
      const path = join(place, entry.name);
      if (left <= 0 || !entry.isFile() || /[^\w.+/-]/.test(path)) continue;
      left -= fs.statSync(path).size;
      lines.push(`write ${path} /upgrade/${place.replaceAll('/', '-')}-${entry.name}`);
    }
  }
  for (let i = 0; i < 3; i++) lines.push(`unlink /${i}/README`);
  return `${lines.join('\n')}\n`;
}
