import type { DidDocument } from '../did-document.ts'
import type { IdentityResolver } from '../resolver/identity-resolver.ts'

/** A resolver over documents put into it. */
export interface MemoryResolver extends IdentityResolver {
  /** Adds or replaces a DID document; its first `at://` alias resolves to it. */
  set(document: DidDocument): void
  delete(did: string): void
}

/** An empty resolver. */
export declare function createMemoryResolver(documents?: readonly DidDocument[]): MemoryResolver
