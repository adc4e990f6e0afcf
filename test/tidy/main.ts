// Prints every finding, one a line: `npm run tidy`.
import { readRepository } from './repository.ts';
import { checkAll, formatFinding } from './rules.ts';

const repository = readRepository();
const findings = checkAll(repository);
for (const finding of findings) console.log(formatFinding(finding));
console.error(`tidy: ${repository.sources.length} files, ${findings.length} findings`);
process.exitCode = findings.length === 0 ? 0 : 1;
