/**
 * The configuration of stunnel (stunnel(8)) at both ends: TLS 1.3, both sides prove themselves to
 * the one authority of this transfer. Neither end opens a plain port: the server starts rsync for
 * each connection, and rsync starts the client as its connection.
 */

export interface TunnelOptions {
  /** Directory with `ca.crt`, `tls.crt`; the key is a copy that only its owner reads. */
  readonly certificates: string;
  readonly keyPath: string;
  readonly logPath: string;
}

/** The line of its log after which a server accepts connections. */
export const tunnelReady = 'Accepting new connections';

function common(options: TunnelOptions): readonly string[] {
  const keepAlive = ['SO_KEEPALIVE=1', 'TCP_KEEPIDLE=30', 'TCP_KEEPINTVL=10', 'TCP_KEEPCNT=6'];
  return [
    `cert = ${options.certificates}/tls.crt`,
    `key = ${options.keyPath}`,
    `CAfile = ${options.certificates}/ca.crt`,
    'verifyChain = yes',
    'sslVersionMin = TLSv1.3',
    // Balancers cut silent connections, and a dead peer must be noticed (U-14).
    ...keepAlive.flatMap((one) => [`socket = l:${one}`, `socket = r:${one}`]),
  ];
}

/** The level at which it tells that it accepts. */
function head(logPath: string): readonly string[] {
  return ['foreground = quiet', 'pid =', 'syslog = no', 'debug = 6', `output = ${logPath}`];
}

/** `rsyncConfigPath` must have no space: stunnel splits there. */
export function serverTunnelText(
  options: TunnelOptions & {
    readonly host: string;
    readonly port: number;
    readonly rsync: string;
    readonly rsyncConfigPath: string;
  },
): string {
  const lines = [
    ...head(options.logPath),
    '[mover]',
    `accept = ${options.host}:${options.port}`,
    `exec = ${options.rsync}`,
    `execArgs = rsync --daemon --config=${options.rsyncConfigPath}`,
    ...common(options),
  ];
  return `${lines.join('\n')}\n`;
}

/** For stunnel as the connection of one rsync (its `RSYNC_CONNECT_PROG`). */
export function clientTunnelText(
  options: TunnelOptions & {
    readonly host: string;
    readonly port: number;
    readonly serverName: string;
  },
): string {
  const lines = [
    ...head(options.logPath),
    'client = yes',
    `connect = ${options.host}:${options.port}`,
    `sni = ${options.serverName}`,
    `checkHost = ${options.serverName}`,
    ...common(options),
  ];
  return `${lines.join('\n')}\n`;
}

/** What went wrong with the tunnel, from the end of its log; undefined: nothing that we know. */
export function tunnelProblem(log: string): { reason: TunnelReason; message: string } | undefined {
  const said = (pattern: RegExp): boolean => pattern.test(log);
  if (said(/Subject checks failed/)) {
    return { reason: 'NotTrusted', message: 'the server has a certificate of another name' };
  }
  if (said(/certificate verify failed|Rejected by CERT/)) {
    return { reason: 'NotTrusted', message: 'the server has a certificate of another authority' };
  }
  if (said(/alert (unknown ca|bad certificate|certificate required|certificate unknown)/i)) {
    return { reason: 'NotTrusted', message: "the server refused the client's certificate" };
  }
  const refused = /(Connection refused|No route to host|Connection timed out|timed? ?out)/i;
  const why = refused.exec(log)?.[1];
  if (why !== undefined) return { reason: 'SourceUnreachable', message: `no connection: ${why}` };
  return undefined;
}

export type TunnelReason = 'NotTrusted' | 'SourceUnreachable';
