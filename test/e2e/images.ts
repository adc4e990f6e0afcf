/** The images of a run: ours from this checkout, and those of the pods that use us. */
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { writeImage } from '../../tools/image/archive.ts';
import { buildImage } from '../../tools/image/build.ts';
import { copyProgram, findProgram } from '../../tools/image/programs.ts';
import { pauseImage } from './cluster/node.ts';

export const ourImages = ['transship', 'transship-mover'] as const;
/** A database and what judges a disk, without a package manager or anything else. */
export const databaseImage = 'transship.test/database:1';

const pausePrograms = ['sh', 'sleep'];
const databasePrograms = ['sh', 'sqlite3', 'fio', 'sync', 'sleep', 'cat', 'date', 'df'];

/** Why they cannot be built here; undefined when they can. */
export function obstacleToImages(): string | undefined {
  const absent = [...pausePrograms, ...databasePrograms].filter((name) => !findProgram(name));
  return absent.length === 0 ? undefined : `not installed: ${absent.join(', ')}`;
}

/** Archives for a node. */
export async function buildImages(directory: string): Promise<readonly string[]> {
  const pause = join(directory, 'pause.tar');
  const database = join(directory, 'database.tar');
  const entrypoint = ['sleep', 'infinity'];
  const environment = { PATH: '/usr/bin' };
  const common = { entrypoint, environment };
  const pauseRoot = rootWith(join(directory, 'pause'), pausePrograms);
  await writeImage({ ...common, name: pauseImage, rootDirectory: pauseRoot, output: pause });
  const rootDirectory = rootWith(join(directory, 'database'), databasePrograms);
  await writeImage({ ...common, name: databaseImage, rootDirectory, output: database });
  const ours: string[] = [];
  for (const name of ourImages) ours.push((await buildImage(directory, name)).archive);
  return [pause, database, ...ours];
}

function rootWith(directory: string, programs: readonly string[]): string {
  for (const one of ['tmp', 'data', 'usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64']) {
    mkdirSync(join(directory, one), { recursive: true });
  }
  for (const one of ['bin', 'sbin', 'lib', 'lib64']) {
    if (!existsSync(join(directory, one))) symlinkSync(`usr/${one}`, join(directory, one));
  }
  for (const name of programs) copyProgram(directory, name);
  return directory;
}
