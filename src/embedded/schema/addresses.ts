/** IP addresses as texts; `node:net` is not for this folder. */

const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const v4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

/** 4, 6, or 0 for no address. */
export function isIP(text: string): 0 | 4 | 6 {
  if (v4.test(text)) return 4;
  return isV6(text) ? 6 : 0;
}

function isV6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2 || !/^[0-9a-fA-F:.]+$/.test(text)) return false;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const all = groups.flat();
  const last = all.at(-1) ?? '';
  const isMapped = v4.test(last);
  const words = isMapped ? all.slice(0, -1) : all;
  if (!words.every((word) => /^[0-9a-fA-F]{1,4}$/.test(word))) return false;
  const count = words.length + (isMapped ? 2 : 0);
  return halves.length === 2 ? count < 8 : count === 8;
}
