// What `npm test` runs, one line each. A program counts itself by ending with the line
// `N passed, N failed, N skipped`; without such a line its exit code counts as one test.

export interface Stage {
  readonly name: string;
  /** Arguments of Node: a program of ours, or node:test with files. */
  readonly run: readonly string[];
  readonly minutesMax: number;
}

/** Two at a time: most machines that run this have two cores, and tests have deadlines. */
export const nodeTest: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--test',
  '--test-concurrency=2',
  '--test-timeout=120000',
  '--test-reporter=./test/reporter.ts',
];

const beside: readonly string[] = [
  'src',
  'test/sim',
  'test/cli',
  'test/controllers',
  'test/relay',
  'test/conformance',
  'test/workload',
  'test/embedded',
  'test/kubernetes',
  'bench',
  'tools',
];
const unit = beside.map((folder) => `${folder}/**/*.test.ts`);

export const stages: readonly Stage[] = [
  { name: 'unit', run: [...nodeTest, ...unit], minutesMax: 30 },
  { name: 'tidy', run: [...nodeTest, 'test/tidy/*.test.ts'], minutesMax: 1 },
  {
    name: 'docs',
    run: [...nodeTest, 'test/docs/*.test.ts', 'test/dashboards/*.test.ts'],
    minutesMax: 20,
  },
  { name: 'demo', run: ['src/main.ts', 'demo', '--unprivileged'], minutesMax: 10 },
  // The same seeds every time: what they find is found before a change, not by chance behind it.
  // New ones are for `npm run sim -- --minutes N`.
  {
    name: 'sim',
    run: ['test/sim/main.ts', '--seed', '4000', '--schedules', '96'],
    minutesMax: 12,
  },
  { name: 'kubernetes', run: ['test/kubernetes/main.ts', '--embedded', '--quick'], minutesMax: 15 },
  { name: 'interop', run: ['test/interop/main.ts'], minutesMax: 25 },
];
