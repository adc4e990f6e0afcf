// Adds to package-lock.json the packages for other platforms that are missing from it. A
// registry mirror that carries only the platforms its users have makes `npm install` leave the
// others out, and then `npm ci` refuses the lockfile, here and everywhere. The versions and
// platforms are exact, so npm installs these on their platform and skips them elsewhere.
//
// Run it after every change of dependencies: node scripts/complete-lock.mjs. With --check it
// changes nothing and fails if it would.
import { readFileSync, writeFileSync } from 'node:fs';

const systems = 'aix android darwin freebsd linux netbsd openbsd openharmony sunos win32'.split(
  ' ',
);
const processors = 'arm arm64 ia32 loong64 mips64el ppc64 riscv64 s390x x64'.split(' ');
// What some packages call them, and what npm calls them.
const aliases = { armv7: 'arm', wasm32: 'wasm32', eabi: 'arm', windows: 'win32' };

/** The platform a package is for, read from its name; undefined if the name does not say. */
function platformOf(name) {
  if (name === 'fsevents') return { os: ['darwin'] };
  const words = name.split(/[-/@]/).map((word) => aliases[word] ?? word);
  if (words.includes('wasm32')) return { cpu: ['wasm32'] };
  const os = systems.find((system) => words.includes(system));
  const cpu = processors.find((processor) => words.includes(processor));
  if (os === undefined || cpu === undefined) return undefined;
  const starts = (start) => words.some((word) => word.startsWith(start));
  if (os === 'linux' && starts('musl')) return { cpu: [cpu], libc: ['musl'], os: [os] };
  if (os === 'linux' && starts('gnu')) return { cpu: [cpu], libc: ['glibc'], os: [os] };
  return { cpu: [cpu], os: [os] };
}

/** Where Node would find the package from inside another one. */
function isLocked(packages, from, name) {
  for (
    let path = from;
    ;
    path = path.slice(0, Math.max(0, path.lastIndexOf('node_modules/') - 1))
  ) {
    const place = path === '' ? `node_modules/${name}` : `${path}/node_modules/${name}`;
    if (packages[place] !== undefined) return true;
    if (path === '') return false;
  }
}

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const added = {};
for (const [from, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (isLocked(lock.packages, from, name)) continue;
    const platform = platformOf(name);
    if (platform === undefined || !/^\d+\.\d+\.\d+[^ ]*$/.test(version)) {
      console.error(`${from} wants ${name} ${version}: add it to package-lock.json by hand`);
      process.exitCode = 1;
      continue;
    }
    const { cpu, libc, os } = platform;
    const dev = entry.dev === true ? true : undefined;
    // In the order npm writes them, so that its next run changes nothing.
    added[`node_modules/${name}`] = { version, cpu, dev, libc, optional: true, os };
  }
}

const names = Object.keys(added);
const hosts = Object.values(lock.packages).filter((entry) => entry.resolved !== undefined);
if (process.argv.includes('--check')) {
  for (const name of names) console.error(`package-lock.json lacks ${name}`);
  // An address would tie everyone to the registry of whoever wrote the lockfile.
  if (hosts.length > 0) console.error(`package-lock.json has ${hosts.length} addresses`);
  if (names.length + hosts.length > 0) process.exitCode = 1;
} else {
  const byPath = ([a], [b]) => a.localeCompare(b, 'en');
  for (const entry of hosts) delete entry.resolved;
  lock.packages = Object.fromEntries(Object.entries({ ...lock.packages, ...added }).sort(byPath));
  writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
  console.error(`${names.length} packages for other platforms added`);
}
