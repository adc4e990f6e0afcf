/** A wire between two clusters: a TCP relay that delays, and that can be cut and restored. */
import * as net from 'node:net';

export interface Relay {
  /** Where it listens, at 127.0.0.1. */
  readonly port: number;
  /** Ends all connections, and takes no new one until `restore`. */
  cut(): void;
  restore(): void;
  close(): Promise<void>;
}

/** `delayMs` is for one direction: a round trip through here takes twice as long. */
export async function openRelay(targetPort: number, delayMs: number): Promise<Relay> {
  const open = new Set<net.Socket>();
  const state = { isCut: false };
  const keep = (socket: net.Socket): void => {
    open.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
  };
  const server = net.createServer({ allowHalfOpen: true }, (incoming) => {
    keep(incoming);
    if (state.isCut) return incoming.destroy();
    const outgoing = net.connect({ host: '127.0.0.1', port: targetPort, allowHalfOpen: true });
    keep(outgoing);
    pass(incoming, outgoing, delayMs);
    pass(outgoing, incoming, delayMs);
    return undefined;
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const endAll = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    cut: () => {
      state.isCut = true;
      endAll();
    },
    restore: () => {
      state.isCut = false;
    },
    close: async () => {
      endAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Bytes that are on their way at a time, per direction; more stay with the sender. */
const onTheWayBytesMax = 32 * 1024 * 1024;

function pass(from: net.Socket, to: net.Socket, delayMs: number): void {
  let onTheWay = 0;
  from.on('data', (bytes: Buffer) => {
    onTheWay += bytes.length;
    if (onTheWay > onTheWayBytesMax) from.pause();
    setTimeout(() => {
      const arrived = (): void => {
        onTheWay -= bytes.length;
        if (onTheWay <= onTheWayBytesMax) from.resume();
      };
      if (to.destroyed) from.destroy();
      else to.write(bytes, arrived);
    }, delayMs);
  });
  from.on('end', () => setTimeout(() => to.end(), delayMs));
  from.on('close', () => setTimeout(() => to.destroy(), delayMs));
}

/** A port nobody listens at now. */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
