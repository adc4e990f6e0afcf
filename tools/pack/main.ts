// Writes `dist/` for a published package.
import { join } from 'node:path';
import { packInto } from './pack.ts';

console.error(`dist: ${packInto(join(import.meta.dirname, '../../dist'))} files`);
