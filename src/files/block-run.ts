/** What a process that moves blocks is told. */

export interface BlockSendOrder {
  readonly side: 'send';
  readonly sourcePath: string;
  readonly host: string;
  readonly port: number;
  /** Must be in the receiver's certificate; without it the authority's word is enough. */
  readonly serverName?: string;
  /** A directory with ca.crt, tls.crt and tls.key, as in Secrets. */
  readonly certificates: string;
  readonly blockBytes?: number;
  readonly bytesPerSecond?: number;
  /** A file with a rate as people write it, looked at every few seconds. */
  readonly ratePath?: string;
}

export interface BlockReceiveOrder {
  readonly side: 'receive';
  readonly destinationPath: string;
  readonly host: string;
  /** 0 takes any free one; the line `Listening` says which. */
  readonly port: number;
  readonly certificates: string;
  /** Leaves what lies behind the end of the source. */
  readonly keepTail: boolean;
  /** Reads the destination again for the closing audit. */
  readonly reread: boolean;
}

export type BlockOrder = BlockSendOrder | BlockReceiveOrder;
