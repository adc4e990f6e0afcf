import { attachSuite } from '../suite-attach.ts';
import { startMemoryNbd } from './memory.ts';

attachSuite(() => startMemoryNbd({ sizeBytes: 320 * 1024 * 1024 }));
