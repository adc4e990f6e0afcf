/** Probes of containers over the network of this machine. */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { Probes } from '../../embedded/runtime/ports.ts';

export function createProbes(): Probes {
  return { httpGet, tcp };
}

/** As kubelets do: nobody verifies the certificate of a probed pod. */
function httpGet({ url, headers, timeoutMs }: Parameters<Probes['httpGet']>[0]): Promise<number> {
  return new Promise((resolve, reject) => {
    const module = url.startsWith('https:') ? https : http;
    const options = {
      headers: Object.fromEntries([
        ['user-agent', 'kube-probe/1.36'],
        ...headers.map(({ name, value }) => [name.toLowerCase(), value]),
      ]) as Record<string, string>,
      signal: AbortSignal.timeout(timeoutMs),
      agent: false,
      rejectUnauthorized: false,
    };
    const request = module.get(url, options, (response) => {
      // The status is the answer; the body is not read.
      resolve(response.statusCode ?? 0);
      response.destroy();
    });
    request.once('error', reject);
  });
}

function tcp(host: string, port: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port });
    socket.setTimeout(timeoutMs, () => {
      socket.destroy(new Error(`no connection to ${host}:${port} within ${timeoutMs} ms`));
    });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}
