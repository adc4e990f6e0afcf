/** The shell program that runs one container, so that its exit code outlives the control plane. */
import type { Mount } from '../../embedded/runtime/ports.ts';

export interface ScriptParts {
  /** Of the attempt: `pid`, `claimed` and `exit` are made there. */
  readonly directory: string;
  readonly argv: readonly string[];
  readonly workingDirectory: string;
  /** Made in the process's own mount namespace. Empty where there is none. */
  readonly mounts: readonly Mount[];
  /** Mounts below these belong to others, and would be kept busy by this namespace. */
  readonly foreignMounts: readonly string[];
  readonly user: number | undefined;
  readonly group: number | undefined;
}

/** Exit code of what could not be started, as container runtimes have it. */
export const notStartedCode = 128;

/**
 * It writes who it is before it claims the attempt: a control plane that comes back and finds no
 * process claims the attempt itself, and whoever is second gives up. Signals reach the whole
 * group; the shell outlives them to write the exit code.
 */
export function scriptOf(parts: ScriptParts): string {
  const file = (name: string) => quote(`${parts.directory}/${name}`);
  const fail = (what: string) =>
    `{ echo ${quote(what)} >&2; echo ${notStartedCode} > ${file('exit')}; exit; }`;
  const lines = [
    'ended=',
    "trap 'ended=1' TERM INT HUP QUIT USR1 USR2",
    'IFS= read -r self < /proc/$$/stat',
    `printf '%s\\n' "$self" > ${file('pid')}`,
    `mkdir ${file('claimed')} 2>/dev/null || exit 0`,
    ...parts.mounts.flatMap(({ source, target, readOnly }) => {
      const [from, to] = [quote(source), quote(target)];
      const bound = `mount --bind -- ${from} ${to} || ${fail(`cannot mount at ${target}`)}`;
      const refused = fail(`cannot mount ${target} read-only`);
      const closed = `mount -o remount,bind,ro -- ${to} || ${refused}`;
      return readOnly ? [bound, closed] : [bound];
    }),
    ...hideMounts(parts),
    `cd -- ${quote(parts.workingDirectory)} || ${fail(`cannot enter ${parts.workingDirectory}`)}`,
    `if [ -n "$ended" ]; then code=143; else ${command(parts)}; code=$?; fi`,
    `echo "$code" > ${file('exit')}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Deepest first, which is the table from its end. */
function hideMounts({ mounts, foreignMounts }: ScriptParts): readonly string[] {
  if (mounts.length === 0 || foreignMounts.length === 0) return [];
  const patterns = foreignMounts.map((prefix) => `${quote(prefix)}/*`).join('|');
  return [
    'hidden=',
    'while read -r _ at _; do',
    `  case "$at" in ${patterns}) hidden="$at $hidden";; esac`,
    'done < /proc/self/mounts',
    'for at in $hidden; do umount -l -- "$at" 2>/dev/null || :; done',
  ];
}

function command({ argv, user, group }: ScriptParts): string {
  const words = argv.map(quote).join(' ');
  if (user === undefined && group === undefined) return words;
  const who = [
    ...(user === undefined ? [] : [`--reuid=${user}`]),
    ...(group === undefined && user === undefined ? [] : [`--regid=${group ?? user}`]),
  ];
  return `setpriv ${who.join(' ')} --clear-groups -- ${words}`;
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
