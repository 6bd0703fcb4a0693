/**
 * Fakes of the real ports, for tests that must not touch the network.
 *
 * @packageDocumentation
 */
export { createMemoryResolver } from './memory-resolver.ts'
export type { MemoryResolver } from './memory-resolver.ts'
