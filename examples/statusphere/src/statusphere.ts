import type { CollectionDeclaration, Column, Indexer } from '@skywright/appview-indexer'
import type { IdentityResolver } from '@skywright/identity'

/** Everything an operator decides, and what a test replaces. */
export interface StatusphereOptions {
  /** Address to listen on. */
  readonly host: string
  /** Port to listen on; 0 picks a free one. */
  readonly port: number
  /** Folder of the index. Created when missing; may be deleted, the index is fetched again. */
  readonly data: string
  /** Where records come from: a relay, or a single PDS. */
  readonly relay: string
  /** The did:plc directory. */
  readonly plc: string
  /** Allows `http:` and loopback servers and `.test` handles. For sandboxes and tests only. */
  readonly dev: boolean
  /** Told of what an operator may want to know. */
  readonly onIssue: (issue: unknown) => void
  /** @defaultValue one over the PLC directory, DNS and HTTPS */
  readonly resolver?: IdentityResolver
}

/** Every valid status of the network, and the verified handles of those who wrote them. */
export type StatusIndex = Indexer<{
  readonly status: CollectionDeclaration<{ readonly status: Column<string> }>
}>

/** A running statusphere. Disposing it stops the stream and closes the index. */
export interface Statusphere extends AsyncDisposable {
  /** Where it listens. */
  readonly url: string
  readonly index: StatusIndex
}
