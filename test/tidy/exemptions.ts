// Every exception to a rule, with its reason. One that is no longer needed fails the check.

export interface Exemption {
  readonly rule: string;
  readonly file: string;
  readonly reason: string;
}

export const exemptions: readonly Exemption[] = [
  {
    rule: 'no-default-export',
    file: 'test/reporter.ts',
    reason: 'node:test loads a reporter by its default export',
  },
  {
    rule: 'file-lines',
    file: 'src/volume/pool.ts',
    reason: 'composes the engine and answers the whole PoolApi; its parts are elsewhere',
  },
  {
    rule: 'file-lines',
    file: 'src/peer/teleports.ts',
    reason:
      'the whole life of a teleport in one state machine; run, record and filler are elsewhere',
  },
  {
    rule: 'file-lines',
    file: 'src/volume/volume.ts',
    reason: 'answers the whole VolumeApi; settling, history and the device are elsewhere',
  },
];

/** Files that nothing imports because they are where a process or a thread starts. */
export const roots: Readonly<Record<string, string>> = {
  'src/main.ts': 'the program',
  'src/host/packer-worker.ts': 'the main program of a packer thread',
};
