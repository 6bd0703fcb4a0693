/**
 * The lexicon documents of the AT Protocol and of Bluesky, as catalogs. Importing costs little: a document is
 * parsed when something first asks for it.
 *
 * @packageDocumentation
 */
import { createLazyCatalog } from './catalog.ts'
import type { LexiconCatalog } from './catalog.ts'
import { APP_BSKY } from './lexicons/app-bsky.ts'
import { COM_ATPROTO } from './lexicons/com-atproto.ts'
import type { AtprotoDocuments } from './lexicons/registry.ts'

/** The registry type of `com.atproto.*` and `app.bsky.*`. */
export type { AtprotoDocuments } from './lexicons/registry.ts'

/** All documents of `com.atproto.*` and `app.bsky.*`. */
export const atproto: LexiconCatalog<AtprotoDocuments> = createLazyCatalog(COM_ATPROTO, APP_BSKY)
