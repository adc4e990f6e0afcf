// The layer table: who may import what. docs/ARCHITECTURE.md explains why it is in this order.
import { fileRule, inSource, type Rule } from './rule.ts';
import type { Source } from './source.ts';

/** A folder may import from itself and from the rows above its own, not from its own row. */
export const layers: readonly (readonly string[])[] = [
  ['base'],
  ['api'],
  ['volume'],
  ['nbd'],
  ['fuse'],
  ['peer'],
  ['kube'],
  ['workload'],
  ['images'],
  ['files'],
  ['machines'],
  ['flow'],
  ['controllers'],
  ['agent', 'csi', 'console', 'cli', 'embedded'],
  ['host'],
];

/** Every package has an owner, so that replacing one is a change in one place. */
export const packageOwners: Readonly<Record<string, readonly string[]>> = {
  commander: ['cli'],
  yaml: ['api', 'kube', 'workload', 'console', 'cli', 'embedded', 'host'],
  'prom-client': ['agent', 'console', 'host'],
  typebox: ['api'],
  rfc6902: ['embedded', 'workload'],
  '@marcbachmann/cel-js': ['embedded'],
  '@kubernetes/client-node': ['host'],
  '@grpc/grpc-js': ['host'],
  protobufjs: ['csi'],
};

/** Modules of Node that compute and touch nothing outside the process. */
const pureModules: readonly string[] = [
  'node:zlib',
  'node:crypto',
  'node:buffer',
  'node:util',
  'node:path',
  'node:path/posix',
];
const testModules: readonly string[] = ['node:test', 'node:assert', 'node:assert/strict'];
/** What tests may use beside dependencies. */
const testPackages: readonly string[] = ['fast-check'];

/** The folder of `src` a path is in; undefined for src/main.ts, which wires them all. */
export function folderOf(path: string): string | undefined {
  const [top, folder, rest] = path.split('/');
  return top === 'src' && rest !== undefined ? folder : undefined;
}

const rowOf = (folder: string): number => layers.findIndex((row) => row.includes(folder));

function judgeRelative(folder: string, target: string): string | undefined {
  const to = folderOf(target);
  if (to === undefined) {
    return `imports ${target}, which is outside the layers: take it as a port instead`;
  }
  if (to === folder) return undefined;
  if (rowOf(to) < 0) return `imports from src/${to}, which has no layer: see test/tidy/layers.ts`;
  if (rowOf(to) < rowOf(folder)) return undefined;
  return (
    `src/${folder} may not import from src/${to}, which is not above it: ` +
    'move what both need up, or take it as a port'
  );
}

function judgePackage(folder: string, specifier: string, isTest: boolean): string | undefined {
  if (isTest && [...testModules, ...testPackages].includes(specifier)) return undefined;
  if (specifier.startsWith('node:')) {
    if (folder === 'host' || pureModules.includes(specifier)) return undefined;
    return `${specifier} touches the world: only src/host may, take a port instead`;
  }
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const owners = packageOwners[name];
  if (owners === undefined) {
    return `${name} is no dependency with an owner: see test/tidy/layers.ts and docs/decisions`;
  }
  if (owners.includes(folder)) return undefined;
  return `${name} belongs to ${owners.map((owner) => `src/${owner}`).join(', ')}: go through them`;
}

function checkLayers(source: Source): [number, string][] {
  const folder = folderOf(source.path);
  if (folder === undefined) return [];
  if (rowOf(folder) < 0) {
    return [[1, `src/${folder} has no layer: add it to the table in test/tidy/layers.ts`]];
  }
  return source.imports.flatMap(({ specifier, target, line }): [number, string][] => {
    const message =
      target === undefined
        ? judgePackage(folder, specifier, source.isTest)
        : judgeRelative(folder, target);
    return message === undefined ? [] : [[line, message]];
  });
}

export const layerRules: readonly Rule[] = [fileRule('layers', inSource, checkLayers)];
