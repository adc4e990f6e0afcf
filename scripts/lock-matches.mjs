// Exit code 0 if every package of the lockfile is installed in the version it names. Plain
// JavaScript without dependencies: it runs before anything is installed, under any Node.
import { readFileSync } from 'node:fs';

const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
const wanted = packagesOf('package-lock.json');
const installed = packagesOf('node_modules/.package-lock.json');

const differs = Object.keys(wanted).some((path) => {
  if (path === '') return false;
  const there = installed[path];
  // Optional packages for other platforms are in the lockfile and rightly not installed.
  if (there === undefined) return wanted[path].optional !== true;
  return there.version !== wanted[path].version || there.integrity !== wanted[path].integrity;
});
process.exit(differs ? 1 : 0);
