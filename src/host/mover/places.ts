/**
 * Where a mover finds what its pod mounts. The pods of an embedded cluster that may not mount have
 * links below their working directory instead, with the names of the places.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import type { MoverClientConfig, MoverServerConfig } from '../../files/mover-config.ts';
import { podAddress } from '../../files/pods.ts';

/** The path itself when it is there or nothing better is known. */
export function placeOf(path: string): string {
  if (fs.existsSync(path)) return path;
  // What is mounted may be there although something below it is not, such as a state directory.
  for (let at = path; at.length > 1; at = at.slice(0, Math.max(at.lastIndexOf('/'), 0))) {
    const linked = join(process.cwd(), at);
    if (fs.existsSync(linked)) return join(fs.realpathSync(linked), path.slice(at.length));
    if (fs.existsSync(at)) return path;
  }
  return path;
}

export function placedClient(config: MoverClientConfig): MoverClientConfig {
  const { certificates, state, source } = config;
  return {
    ...config,
    certificates: placeOf(certificates),
    state: placeOf(state),
    source: placeOf(source),
  };
}

/** A server that may listen anywhere does so at its pod's address alone. */
export function placedServer(config: MoverServerConfig): MoverServerConfig {
  const { certificates, state, modules, host } = config;
  return {
    ...config,
    host: host === '0.0.0.0' ? (process.env[podAddress] ?? host) : host,
    certificates: placeOf(certificates),
    state: placeOf(state),
    modules: modules.map((one) => ({ ...one, path: placeOf(one.path) })),
  };
}
