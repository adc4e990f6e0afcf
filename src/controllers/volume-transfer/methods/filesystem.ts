/** The method Filesystem: files by rsync over mutual TLS, read only at the source. */
import { configText, moverClientPod, moverServerPod, placesOf } from '../../../files/pods.ts';
import type { TransferMethod } from '../method.ts';
import { claimAt, keyAt, type MoverWork, podOptionsOf, serverNameOf } from './mover-job.ts';
import { filesNews, portFrom } from './mover-news.ts';
import { moverMethod, rateOf } from './mover-run.ts';
import { relayed } from './mover-relay.ts';

/** Of the one volume of a server. */
const module = 'volume';

const filesystemWork: MoverWork = {
  volumeMode: 'Filesystem',
  rootBecause: 'files keep their owners',
  serverPod: (transfer, place) => {
    const options = podOptionsOf(transfer, 'server', place);
    const { name: claim } = claimAt(transfer, 'server');
    const path = placesOf(options.name).volume;
    return moverServerPod({ ...options, port: 0, volumes: [{ claim, path }] });
  },
  serverFiles: (transfer) => {
    const { name } = keyAt(transfer, 'server');
    const modules = [{ name: module, path: placesOf(name).volume }];
    return { 'config.json': configText(name, { host: '0.0.0.0', port: 0, modules }) };
  },
  clientPod: (transfer, place) => {
    const options = podOptionsOf(transfer, 'client', place);
    const { name: claim } = claimAt(transfer, 'client');
    return moverClientPod({ ...options, claim, path: placesOf(options.name).volume });
  },
  clientFiles: (transfer, endpoint, ownership) => {
    const { name } = keyAt(transfer, 'client');
    const { pass, verify = false } = transfer.object.spec;
    const rate = rateOf(transfer);
    const text = configText(name, {
      ...endpoint,
      serverName: serverNameOf(transfer),
      module,
      source: placesOf(name).volume,
      pass: pass === 'Last' ? 'Final' : 'Stage',
      verify,
      ownership,
      ...(rate === undefined ? {} : { bytesPerSecond: Math.max(1, rate) }),
    });
    return { 'config.json': text };
  },
  portFrom,
  newsFrom: filesNews,
};

export const filesystemMethod: TransferMethod = relayed(
  moverMethod(filesystemWork),
  filesystemWork,
);
