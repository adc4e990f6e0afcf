/** What a session needs from the transport that carries it. */
export interface Connection {
  /**
   * Sends the parts one after another. The transport owns their memory until it calls `flushed`,
   * which it does once, also when the connection breaks. Never calls `flushed` before it returns.
   */
  write(parts: readonly Uint8Array[], flushed?: () => void): void;
  /** No `receive` after this until `resume`; data that was already delivered is not repeated. */
  pause(): void;
  resume(): void;
  /** Sends what was written, then ends the connection. */
  close(): void;
}
