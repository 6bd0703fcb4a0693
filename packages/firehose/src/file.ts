/**
 * Durable state in plain files, for Node programs without a database.
 *
 * @packageDocumentation
 */
export { openFileCursorStore } from './file-cursor-store.ts'
export type { FileCursorStoreOptions } from './file-cursor-store.ts'
