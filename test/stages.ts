// What `npm test` runs, one line each. A program counts itself by ending with the line
// `N passed, N failed, N skipped`; without such a line its exit code counts as one test.

export interface Stage {
  readonly name: string;
  /** Arguments of Node: a program of ours, or node:test with files. */
  readonly run: readonly string[];
  /** What must exist for the stage to mean anything. */
  readonly needs: string;
  readonly minutesMax: number;
  /** How a person runs only this. */
  readonly again: string;
}

/** Two at a time: most machines that run this have two cores, and tests have deadlines. */
export const nodeTest: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--test',
  '--test-concurrency=2',
  '--test-timeout=120000',
  '--test-reporter=./test/reporter.ts',
];

const unit = ['src', 'test/sim', 'test/conformance', 'bench', 'tools'].map(
  (f) => `${f}/**/*.test.ts`,
);

// biome-ignore format: a table
export const stages: readonly Stage[] = [
  { name: 'unit', run: [...nodeTest, ...unit], needs: 'src', minutesMax: 5, again: 'npm run unit' },
  { name: 'tidy', run: [...nodeTest, 'test/tidy/*.test.ts'], needs: 'test/tidy', minutesMax: 1, again: 'npm run tidy' },
  { name: 'docs', run: [...nodeTest, 'test/docs/*.test.ts'], needs: 'test/docs', minutesMax: 5, again: 'npm test -- docs' },
  { name: 'sim', run: ['test/sim/main.ts', '--minutes', '1'], needs: 'test/sim/main.ts', minutesMax: 3, again: 'npm run sim' },
  { name: 'interop', run: ['test/interop/main.ts'], needs: 'test/interop/main.ts', minutesMax: 5, again: 'npm run interop' },
];
