/**
 * For tests of stores, and of anything that reads repositories: the rules of the store port as cases, repos and broken repos
 * by name of defect, an event sink and a key that need nothing else.
 *
 * @packageDocumentation
 */
export { REPO_DEFECTS } from './broken-repos.ts'
export type { BrokenRepoInput, RepoDefect } from './broken-repos.ts'
export { buildRepoCar } from './build-repo.ts'
export type { BuildRepoInput, BuiltRepo } from './build-repo.ts'
export { MemoryEventSink } from './event-sink.ts'
export type { SunkEvent } from './event-sink.ts'
export { repoStoreCases } from './store-cases.ts'
export type { OpenTestStore, StoreCase } from './store-cases.ts'
export { createTestKey } from './test-key.ts'
export { createMemoryRepoStore } from '../stores/memory.ts'
