/** What an agent was started with, kept in its directory, so that `up` needs no flags twice. */
import { isIPv6 } from 'node:net';
import { fail } from '../base/errors.ts';
import { checkAddress } from '../peer/registry.ts';
import type { StartAgent } from '../cli/ports.ts';
import type { AgentPaths } from './agent-paths.ts';
import { readRemembered, writePrivate } from './private-file.ts';

export interface Settings extends Omit<StartAgent, 'name' | 'metricsListen'> {
  /** Where peers were told to come to; kept even when nobody asked for a port. */
  readonly peerPort?: number;
  readonly metricsPort?: number;
}

export function readSettings(paths: AgentPaths): Settings {
  return readRemembered<Settings>(paths.settings);
}

export function writeSettings(paths: AgentPaths, settings: Settings): void {
  writePrivate(paths.settings, `${JSON.stringify(settings, null, 2)}\n`);
}

/** A place to listen at; `host` is undefined for all addresses, of IPv4 and of IPv6. */
export interface ListenPlace {
  readonly host: string | undefined;
  readonly port: number;
}

/** `host:port` in two; a port of 0 means any, a host of `*` all addresses. `BadArgument`. */
export function parseListen(text: string): ListenPlace {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+|\*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? -1);
  if (match === null || port > 65_535) {
    fail('BadArgument', `'${text}' is not an address to listen on; write host:port`);
  }
  const host = match[1] ?? match[2];
  return { host: host === '*' ? undefined : host, port };
}

/** Whoever listens at all addresses cannot tell others one of them. */
export function isEverywhere(host: string | undefined): boolean {
  return host === undefined || host === '0.0.0.0' || host === '::';
}

/**
 * The address that peers are told. Where it is put together of an address and a port, as pods do
 * with that of their node, an IPv6 address has no brackets yet. `BadArgument`.
 */
export function advertisedAddress(text: string): string {
  const at = text.lastIndexOf(':');
  const host = text.slice(0, Math.max(0, at));
  const address = isIPv6(host) ? `[${host}]${text.slice(at)}` : text;
  checkAddress(address);
  return address;
}
