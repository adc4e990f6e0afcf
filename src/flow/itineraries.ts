/**
 * The itineraries. Each order here answers a defect or a complaint: what MTC did (mtc.md section 2)
 * and what its users asked for (user-asks.md U-1 to U-20). `checkItinerary` holds the rules.
 */
import type { Itinerary, Section, StepData } from './itinerary.ts';

function section(name: Section, ...steps: readonly Omit<StepData, 'section'>[]): StepData[] {
  return steps.map((step) => ({ section: name, ...step }));
}

const prepare: readonly StepData[] = section(
  'Prepare',
  { name: 'checkPlan' },
  { name: 'retainVolumes', undo: true },
  { name: 'makeNamespaces', undo: true },
  { name: 'findWay' },
);

/** Copies while workloads run; can be run again and again. */
export const stage: Itinerary = {
  name: 'Stage',
  initially: ['sourceRuns'],
  onFailure: 'AsAsked',
  afterPointOfNoReturn: 'Rollback',
  steps: [
    ...prepare,
    ...section(
      'CopyAhead',
      { name: 'copyImages', when: ['images'], undo: true },
      { name: 'copyAhead', undo: true },
    ),
    ...section('Finish', { name: 'cleanUp' }),
  ],
};

/** Finishes the copy and starts at the destination. */
export const cutover: Itinerary = {
  name: 'Cutover',
  initially: ['sourceRuns', 'destinationStopped', 'destinationProvenStopped'],
  onFailure: 'AsAsked',
  afterPointOfNoReturn: 'Rollback',
  steps: [
    ...prepare,
    ...section(
      'CopyAhead',
      { name: 'hookPreBackup', when: ['hooks'] },
      { name: 'copyImages', when: ['images'], undo: true },
      { name: 'copyAhead', undo: true },
    ),
    ...section(
      'Stop',
      { name: 'pauseManagers', when: ['quiesce'], undo: true },
      {
        name: 'stopSource',
        when: ['quiesce'],
        makes: ['sourceStopped'],
        breaks: ['sourceRuns'],
        undo: true,
      },
      { name: 'proveSourceStopped', when: ['quiesce'], makes: ['sourceProvenStopped'] },
      { name: 'fenceSource', when: ['quiesce'], makes: ['sourceFenced'], undo: true },
    ),
    ...section(
      'LastCopy',
      { name: 'copyLast', makes: ['lastCopy'], undo: true },
      { name: 'auditVolumes', makes: ['audited'] },
      { name: 'hookPostBackup', when: ['hooks'] },
    ),
    ...section(
      'Make',
      { name: 'hookPreRestore', when: ['hooks'] },
      { name: 'swapClaims', when: ['conversion'], makes: ['claimsSwapped'], undo: true },
      { name: 'makeObjects', when: ['objects'], undo: true },
    ),
    ...section(
      'Start',
      {
        name: 'startDestination',
        makes: ['destinationRuns'],
        breaks: ['destinationStopped', 'destinationProvenStopped'],
        pointOfNoReturn: true,
      },
      { name: 'proveDestinationHealthy', when: ['verify'] },
      { name: 'hookPostRestore', when: ['hooks'] },
    ),
    ...section('Finish', { name: 'cleanUp' }),
  ],
};

/** Goes back after a cutover, or after one that failed past its point of no return. */
export const rollback: Itinerary = {
  name: 'Rollback',
  initially: ['destinationRuns', 'sourceStopped', 'sourceProvenStopped', 'sourceFenced'],
  onFailure: 'Pause',
  afterPointOfNoReturn: 'GoOn',
  steps: [
    ...section('Prepare', { name: 'checkWayBack' }),
    ...section(
      'Stop',
      { name: 'pauseDestinationManagers', undo: true },
      {
        name: 'stopDestination',
        makes: ['destinationStopped'],
        breaks: ['destinationRuns'],
        undo: true,
      },
      { name: 'proveDestinationStopped', makes: ['destinationProvenStopped'] },
      { name: 'fenceDestination', makes: ['destinationFenced'], undo: true },
    ),
    ...section(
      'LastCopy',
      { name: 'copyBack', when: ['keepData'], makes: ['lastCopy'], undo: true },
      { name: 'auditBack', when: ['keepData'], makes: ['audited'] },
    ),
    ...section('Make', { name: 'swapClaimsBack', makes: ['claimsSwapped'], undo: true }),
    ...section(
      'Start',
      { name: 'liftSourceFence', breaks: ['sourceFenced'], undo: true },
      {
        name: 'startSource',
        makes: ['sourceRuns'],
        breaks: ['sourceStopped', 'sourceProvenStopped'],
        pointOfNoReturn: true,
      },
      { name: 'resumeManagers' },
      { name: 'proveSourceHealthy', when: ['verify'] },
    ),
    ...section('Finish', { name: 'removeMade' }, { name: 'cleanUp' }),
  ],
};

/**
 * A copy that runs beside the source, in namespaces of its own (U-65). The source is not touched:
 * nothing is stopped, and what is copied last is of a moment at which it still runs.
 */
export const rehearsal: Itinerary = {
  name: 'Rehearsal',
  initially: ['sourceRuns', 'destinationStopped', 'destinationProvenStopped'],
  onFailure: 'AsAsked',
  afterPointOfNoReturn: 'Rollback',
  isTemporary: true,
  steps: [
    ...section(
      'Prepare',
      { name: 'checkPlan' },
      { name: 'makeNamespaces', undo: true },
      { name: 'findWay' },
    ),
    ...section(
      'CopyAhead',
      { name: 'copyImages', when: ['images'], undo: true },
      { name: 'copyAhead', undo: true },
      { name: 'copyLast', undo: true },
    ),
    ...section('Make', { name: 'makeObjects', when: ['objects'], undo: true }),
    ...section(
      'Start',
      { name: 'startDestination', when: ['objects'], makes: ['sandboxRuns'] },
      { name: 'proveDestinationHealthy', when: ['objects', 'verify'] },
    ),
    ...section('Finish', { name: 'cleanUp' }),
  ],
};

/**
 * A copy beside the source, which runs on untouched; repeated, it brings what differs. Both sides
 * may run, so there are no facts about that here: what is stopped for a moment is the copy.
 */
export const replication: Itinerary = {
  name: 'Replication',
  initially: [],
  onFailure: 'AsAsked',
  afterPointOfNoReturn: 'GoOn',
  steps: [
    ...section(
      'Prepare',
      { name: 'endEarlier' },
      { name: 'makeNamespaces' },
      { name: 'chooseVolumes' },
    ),
    ...section(
      'CopyAhead',
      { name: 'copyImages', undo: true },
      { name: 'copyAhead', undo: true },
      { name: 'copyLast', undo: true },
      { name: 'fillVolumes' },
    ),
    ...section('Make', { name: 'findEdits' }, { name: 'makeObjects' }),
    ...section('Stop', { name: 'stopCopy', undo: true }),
    ...section('LastCopy', { name: 'swapVolumes', undo: true }),
    ...section('Start', { name: 'startCopy', pointOfNoReturn: true }, { name: 'proveHealthy' }),
    ...section('Finish', { name: 'cleanUp' }),
  ],
};

/** What follows once a replication that failed, or was deleted, was taken back. */
export const replicated: Itinerary = {
  name: 'Replicated',
  initially: [],
  onFailure: 'Repeat',
  afterPointOfNoReturn: 'GoOn',
  steps: section('CleanUp', { name: 'removeTransfers' }, { name: 'forgetRun' }),
};

/** Volumes and objects of a cluster into a repository; the cluster is not touched. */
export const backup: Itinerary = {
  name: 'Backup',
  initially: [],
  onFailure: 'AsAsked',
  afterPointOfNoReturn: 'GoOn',
  steps: [
    ...section('Prepare', { name: 'knowRepository' }),
    ...section('CopyAhead', { name: 'saveVolumes' }),
    ...section('Make', { name: 'saveObjects' }),
    ...section('Finish', { name: 'keepBackups' }),
  ],
};

/** What follows a backup that failed: what it saved is forgotten. */
export const backupEnded: Itinerary = {
  name: 'BackupEnded',
  initially: [],
  onFailure: 'Repeat',
  afterPointOfNoReturn: 'GoOn',
  steps: section('CleanUp', { name: 'keepBackups' }),
};

/** Out of a repository: volumes can be used before their data has come. */
export const restoring: Itinerary = {
  name: 'Restoring',
  initially: [],
  onFailure: 'AsAsked',
  afterPointOfNoReturn: 'GoOn',
  steps: [
    ...section('Prepare', { name: 'knowRepository' }, { name: 'makeNamespaces' }),
    ...section('CopyAhead', { name: 'openVolumes' }),
    ...section('Make', { name: 'findEdits' }, { name: 'makeObjects' }),
    ...section('Start', { name: 'startCopy', pointOfNoReturn: true }, { name: 'proveHealthy' }),
    ...section('Finish', { name: 'fillRestored' }, { name: 'cleanUp' }),
  ],
};

/** What follows once a canceled run was taken back. */
export const cancel: Itinerary = {
  name: 'Cancel',
  initially: [],
  onFailure: 'Repeat',
  afterPointOfNoReturn: 'GoOn',
  steps: section(
    'CleanUp',
    { name: 'removeTransfers' },
    { name: 'removeHelpers' },
    { name: 'proveAsBefore' },
  ),
};

/** What follows once a failed run was taken back: partial copies stay, a next try resumes them. */
export const failed: Itinerary = {
  name: 'Failed',
  initially: [],
  onFailure: 'Repeat',
  afterPointOfNoReturn: 'GoOn',
  steps: section('CleanUp', { name: 'removeHelpers' }, { name: 'proveAsBefore' }),
};

/** The one for a type of Migration, and what can follow it. */
export const itineraries = {
  Stage: stage,
  Cutover: cutover,
  Rollback: rollback,
  Rehearsal: rehearsal,
} as const;
export const endings = { Canceled: cancel, Failed: failed } as const;
