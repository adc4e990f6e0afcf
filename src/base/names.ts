/** Names of volumes, snapshots, clusters, pools and policies: one rule for all. */
import { fail } from './errors.ts';
import { limits } from './limits.ts';

const pattern = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

export function isName(text: string): boolean {
  // Two dots in a row would be a step upwards wherever a name becomes part of a path.
  return text.length <= limits.nameLengthMax && pattern.test(text) && !text.includes('..');
}

/** The name itself, or `BadName` saying what is wrong with it. `what` is for the message. */
export function checkName(text: string, what: string): string {
  if (isName(text)) return text;
  const shown = printable(text);
  if (text === '') fail('BadName', `the name of a ${what} is empty`);
  if (text.length > limits.nameLengthMax) {
    fail('BadName', `${what} name '${shown}' has ${text.length} characters, more than 63`);
  }
  fail('BadName', `'${shown}' cannot be the name of a ${what}`);
}

/** Text from outside on one line, safe for a terminal: control characters as escapes, cut at 80. */
export function printable(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 79)}…` : text;
  return short.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}
