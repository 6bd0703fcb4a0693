/** The write side of a store inside one transaction; grows with the engine. */
export interface IndexTransaction {
  readonly open: true
}
