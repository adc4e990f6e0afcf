/** Certificates of the control API: one authority for a cluster's agents and their controllers. */
import fs from 'node:fs';
import path from 'node:path';
import { fail } from '../base/errors.ts';

/** In the certificate of every agent: addresses of pods change, this name does not. */
export const controlServerName = 'transship-agent';

/** PEM texts. */
export interface ControlTls {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** From a directory as Secrets of type `kubernetes.io/tls` are: ca.crt, tls.crt, tls.key. */
export function readControlTls(directory: string): ControlTls {
  const read = (name: string): string => {
    const file = path.join(directory, name);
    try {
      return fs.readFileSync(file, 'utf8');
    } catch (error) {
      return fail('BadArgument', `the certificates of agents: ${file} cannot be read`, error);
    }
  };
  return { authority: read('ca.crt'), certificate: read('tls.crt'), key: read('tls.key') };
}
