/**
 * Fabricated networks for tests of an AppView: no sockets, no signatures, no waiting.
 *
 * @packageDocumentation
 */
export { createFakeNetwork, fabricateRecord, memorySource } from './fake-network.ts'
export type { FakeAccount, FakeNetwork, FakeWrite } from './fake-network.ts'
export { indexStoreCases } from './store-cases.ts'
export type { IndexStoreCase } from './store-cases.ts'
export type { TestDatabase } from './store-cases/store-case.ts'
