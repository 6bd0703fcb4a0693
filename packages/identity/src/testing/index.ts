/**
 * Fakes of the real ports, for tests that must not touch the network: a resolver over documents, and a web, a DNS and
 * a clock under the real resolver.
 *
 * @packageDocumentation
 */
export { createMemoryNetwork, dnsError } from './memory-network.ts'
export type { MemoryNetwork, ScriptedPage, ScriptedTxt, TxtRecords } from './memory-network.ts'
export { createMemoryResolver } from './memory-resolver.ts'
export type { MemoryResolver } from './memory-resolver.ts'
