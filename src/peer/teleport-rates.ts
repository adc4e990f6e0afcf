/**
 * The rate of a link is that of the newest teleport that names one, and only while it runs: a rate
 * that stayed would slow down whatever comes next, and nobody would know why.
 */
export class TeleportRates {
  /** By lease, the newest last. */
  readonly #named = new Map<string, { readonly cluster: string; readonly rate: number }>();

  set(leaseId: string, cluster: string, bytesPerSecond: number): void {
    this.#named.delete(leaseId);
    this.#named.set(leaseId, { cluster, rate: bytesPerSecond });
  }

  /** The cluster whose rate may be another now. */
  end(leaseId: string): string | undefined {
    const ended = this.#named.get(leaseId);
    this.#named.delete(leaseId);
    return ended?.cluster;
  }

  /** Bytes a second; undefined: no teleport that runs names one. */
  of(cluster: string): number | undefined {
    return [...this.#named.values()].findLast((one) => one.cluster === cluster)?.rate;
  }
}
