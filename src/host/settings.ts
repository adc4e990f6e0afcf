/** What an agent was started with, kept in its directory, so that `up` needs no flags twice. */
import { fail } from '../base/errors.ts';
import type { StartAgent } from '../cli/ports.ts';
import type { AgentPaths } from './agent-paths.ts';
import { readRemembered, writePrivate } from './private-file.ts';

export interface Settings extends Omit<StartAgent, 'name'> {
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

/** `host:port` in two; a port of 0 means any. `BadArgument`. */
export function parseListen(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? -1);
  if (match === null || port > 65_535) {
    fail('BadArgument', `'${text}' is not an address to listen on; write host:port`);
  }
  return { host: match[1] ?? match[2]!, port };
}
