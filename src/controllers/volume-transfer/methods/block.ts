/** The method Block: what differs of a raw device travels, over mutual TLS. */
import { blockReceiverPod, blockSenderPod } from '../../../files/block-pods.ts';
import type { TransferMethod } from '../method.ts';
import { blockNews, blockPortFrom } from './mover-block-news.ts';
import { claimAt, type MoverWork, podOptionsOf, serverNameOf } from './mover-job.ts';
import { moverMethod } from './mover-run.ts';

/** A rate is a word of the sender's command line: it holds for the pod that is made next. */
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
    const { bandwidth } = transfer.object.spec;
    return blockSenderPod({
      ...podOptionsOf(transfer, 'client', place),
      claim,
      ...endpoint,
      serverName: serverNameOf(transfer),
      ...(bandwidth === undefined ? {} : { rate: bandwidth }),
    });
  },
  clientFiles: () => ({}),
  portFrom: blockPortFrom,
  newsFrom: blockNews,
};

export const blockMethod: TransferMethod = moverMethod(blockWork);
