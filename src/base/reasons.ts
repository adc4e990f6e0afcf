/**
 * One catalogue of reasons. The same word is the condition reason, the event reason, the metric
 * label and, through its exit class, the command's exit code (design.md sections 6 and 11).
 */

/** Exit classes of the command line; the numbers are a contract with scripts. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  declined: 4,
  timedOut: 5,
  conflict: 6,
  interrupted: 130,
} as const;

export type ExitClass = keyof typeof exitCodes;

interface ReasonEntry {
  readonly exit: ExitClass;
  /** True when the same request may succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** What a person should do, in one sentence. */
  readonly remedy: string;
}

function entry(exit: ExitClass, retryable: boolean, remedy: string): ReasonEntry {
  return { exit, retryable, remedy };
}

export const reasons = {
  BadArgument: entry('usage', false, 'Correct the argument; --help shows what is accepted.'),
  BadName: entry('usage', false, 'Use 1 to 63 lower-case letters, digits, dots or hyphens.'),
  BadSize: entry('usage', false, 'Give a size from 1 MiB to 64 TiB, for example 10Gi.'),
  BadTime: entry('usage', false, 'Give a time as RFC 3339 or as an age such as 90s or 5m.'),
  BadPolicy: entry('usage', false, 'Keep the retention within the limits the message names.'),
  BadImage: entry('usage', false, 'Name a readable raw file, block device or qcow2 image.'),
  AlreadyExists: entry('conflict', false, 'Choose another name, or delete the existing object.'),
  NotFound: entry('failed', false, 'List what exists, and check the spelling.'),
  InUse: entry('conflict', true, 'Detach or stop the user the message names, then try again.'),
  Leased: entry(
    'refused',
    true,
    'Wait for the teleport to finish, cancel it, or force: the data stays until its lease ends.',
  ),
  ReadOnly: entry('refused', true, 'Free space in the pool, or add capacity.'),
  PoolFull: entry('failed', true, 'Delete volumes or snapshots, or give the pool more capacity.'),
  PoolLocked: entry('conflict', true, 'Stop the other agent that uses this pool, or pick another.'),
  PoolUnusable: entry('failed', false, 'Run `transship pool repair`, or restore the directory.'),
  DiskFailed: entry('failed', true, 'Check the disk and the kernel log, then reopen the pool.'),
  DataCorrupt: entry(
    'failed',
    false,
    'Run `transship pool scrub`; restore from a peer or snapshot.',
  ),
  DataMissing: entry('failed', true, 'Restore the link to the source of this volume.'),
  SourceUnreachable: entry('failed', true, 'Check the link with `transship cluster check`.'),
  SourceGone: entry('failed', false, 'Teleport again: the source no longer holds this version.'),
  NotAccessible: entry('failed', true, 'Wait until the volume is Accessible.'),
  NotTrusted: entry('conflict', false, 'Join the clusters with a fresh token first.'),
  TokenInvalid: entry('conflict', false, 'Make a new token with `transship cluster token`.'),
  NotAllowed: entry('conflict', false, 'Ask the owner of the object for this right.'),
  ProtocolError: entry('failed', false, 'Run the same version at both sides, then report this.'),
  LimitExceeded: entry('refused', true, 'Ask for less at once; the message names the limit.'),
  ToolMissing: entry('failed', false, 'Install the package the message names.'),
  AgentUnreachable: entry('failed', true, 'Start the agent with `transship up`.'),
  ApiUnreachable: entry('failed', true, 'Check that the API server runs and can be reached.'),
  ApiFailed: entry('failed', true, 'Look at the log of the API server; it is tried again.'),
  TooManyRequests: entry('failed', true, 'Nothing to do: it is tried again, more slowly.'),
  Unauthorized: entry('conflict', false, 'Renew the token or certificate in the kubeconfig.'),
  Forbidden: entry('conflict', false, 'Grant the rule that the message names.'),
  Conflict: entry('conflict', true, 'Look at the object again, then repeat the change.'),
  Invalid: entry('usage', false, 'Correct the fields that the message names.'),
  ClassMismatch: entry(
    'refused',
    false,
    'Make the storage classes of both clusters alike, or name the one to use at the destination.',
  ),
  ChecksFailed: entry(
    'refused',
    false,
    'Solve what the failed checks name; `plan check` and `replicate show` print their remedies.',
  ),
  CredentialsMissing: entry('conflict', false, 'Make the Secret with the entries that it names.'),
  RepositoryUnreachable: entry(
    'failed',
    true,
    'Check the address, the certificate and the network of the repository; it is tried again.',
  ),
  RegistryUnreachable: entry(
    'failed',
    true,
    'Check the address and the network of the image registry; it is tried again.',
  ),
  RegistryRefused: entry(
    'conflict',
    false,
    'Correct the credentials, their rights or the certificate authority of the image registry.',
  ),
  HookFailed: entry(
    'failed',
    false,
    'Look at the output of the hook, correct it or what it needs, then retry the migration.',
  ),
  ImageInvalid: entry('failed', false, 'Push the image to its registry again, then copy it.'),
  Fenced: entry(
    'conflict',
    false,
    'Use the volume where it is led now: the message names the agent; its data is not lost.',
  ),
  QuorumLost: entry(
    'failed',
    true,
    'Bring back the agents of the replicas that the message names; nothing acknowledged is lost.',
  ),
  RedundancyLost: entry(
    'refused',
    true,
    'Wait until another replica is Healthy, or add one in a pool of another node.',
  ),
  Draining: entry(
    'refused',
    true,
    'Choose a pool that is not being drained, or end its drain with `transship pool undrain`.',
  ),
  Stopping: entry('failed', true, 'Try again when the agent has restarted.'),
  Canceled: entry('interrupted', false, 'Nothing to do: it was asked for.'),
  TimedOut: entry('timedOut', true, 'It still runs; watch it, or wait longer with --timeout.'),
  Unsupported: entry('declined', false, 'Use what the message names instead.'),
  Internal: entry('failed', false, 'This is a defect; please report it with the diagnostics.'),
} as const satisfies Record<string, ReasonEntry>;

export type Reason = keyof typeof reasons;

export function isReason(word: string): word is Reason {
  return Object.hasOwn(reasons, word);
}

export function exitCodeOf(reason: Reason): number {
  return exitCodes[reasons[reason].exit];
}
