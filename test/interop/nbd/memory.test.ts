import { nbdSuite } from '../suite-nbd.ts';
import { startMemoryNbd } from './memory.ts';

nbdSuite(() => startMemoryNbd());
