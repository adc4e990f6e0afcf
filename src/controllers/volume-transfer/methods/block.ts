/** The method Block: what differs of a raw device travels, over mutual TLS. */
import { blockReceiverPod, blockSenderPod, rateFile } from '../../../files/block-pods.ts';
import type { TransferMethod } from '../method.ts';
import { blockNews, blockPortFrom } from './mover-block-news.ts';
import { claimAt, type MoverWork, podOptionsOf, serverNameOf } from './mover-job.ts';
import { moverMethod, rateOf } from './mover-run.ts';

const blockWork: MoverWork = {
  volumeMode: 'Block',
  rootBecause: 'raw devices belong to root',
  serverPod: (transfer, place) => {
    const { name: claim } = claimAt(transfer, 'server');
    const reread = transfer.object.spec.verify === true;
    return blockReceiverPod({ ...podOptionsOf(transfer, 'server', place), claim, reread });
  },
  serverFiles: () => ({}),
  clientPod: (transfer, place, endpoint) => {
    const { name: claim } = claimAt(transfer, 'client');
    return blockSenderPod({
      ...podOptionsOf(transfer, 'client', place),
      claim,
      ...endpoint,
      serverName: serverNameOf(transfer),
    });
  },
  clientFiles: (transfer) => ({ [rateFile]: String(rateOf(transfer) ?? 'unlimited') }),
  portFrom: blockPortFrom,
  newsFrom: blockNews,
};

export const blockMethod: TransferMethod = moverMethod(blockWork);
