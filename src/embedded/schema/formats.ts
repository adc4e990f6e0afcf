/** The string formats that servers check in CRDs; others are accepted as they are (OpenAPI). */
import { isIP } from './addresses.ts';

type Check = (text: string) => boolean;

const day = '\\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])';
const clock = '(?:[01]\\d|2[0-3]):[0-5]\\d:(?:[0-5]\\d|60)(?:\\.\\d+)?';
const zone = '(?:[Zz]|[+-][0-2]\\d:[0-5]\\d)';
const dateTime = new RegExp(`^${day}[Tt ]${clock}${zone}$`);
const duration = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d|w))+$/;
const unit = '(?:nano|micro|milli)?seconds?|minutes?|hours?|days?|weeks?';
/** `2 weeks`, which the format's library reads beside Go's notation. */
const spacedDuration = new RegExp(`^(?:\\d+\\s*(?:${unit})\\s*)+$`);
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const hostname = new RegExp(`^(?=.{1,255}$)${label}(?:\\.${label})*$`);
const email = /^[^\s@<>]+@[^\s@<>]+$/;
const mac = /^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i;

const checks: Readonly<Record<string, Check>> = {
  'date-time': (text) => dateTime.test(text) && !Number.isNaN(Date.parse(text.slice(0, 10))),
  datetime: (text) => dateTime.test(text),
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && isDay(text),
  duration: (text) => duration.test(text) || spacedDuration.test(text),
  uuid: (text) => uuid.test(text),
  uuid3: (text) => uuid.test(text) && versionOf(text) === '3',
  uuid4: (text) => uuid.test(text) && versionOf(text) === '4',
  uuid5: (text) => uuid.test(text) && versionOf(text) === '5',
  byte: (text) => base64.test(text),
  hostname: (text) => hostname.test(text),
  email: (text) => email.test(text),
  ipv4: (text) => isIP(text) === 4,
  ipv6: (text) => isIP(text) === 6,
  cidr: (text) => isCidr(text),
  mac: (text) => mac.test(text),
  uri: (text) => URL.canParse(text) || text.startsWith('/'),
};

export function isFormatKnown(format: string): boolean {
  return Object.hasOwn(checks, format);
}

export function hasFormat(format: string, text: string): boolean {
  return checks[format]?.(text) ?? true;
}

function isDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function versionOf(text: string): string | undefined {
  return text.replaceAll('-', '')[12];
}

function isCidr(text: string): boolean {
  const [address = '', bits = '', more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more !== undefined || !/^\d{1,3}$/.test(bits)) return false;
  return Number(bits) <= (family === 4 ? 32 : 128);
}
