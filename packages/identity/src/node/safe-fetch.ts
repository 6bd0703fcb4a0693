/** Options of {@link createSafeFetch}. */
export interface SafeFetchOptions {
  /**
   * Development: allow `http:`, any port and private addresses.
   * @defaultValue false
   */
  readonly dev?: boolean
}

/** A `fetch` for URLs somebody else chose: https only, public addresses only, checked on every hop, pinned. */
export declare function createSafeFetch(options?: SafeFetchOptions): typeof globalThis.fetch
