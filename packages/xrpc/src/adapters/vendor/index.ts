/**
 * Lexicons of other people as TypeScript modules: rendering, and finding published ones with proof.
 *
 * @packageDocumentation
 */
export { renderLexicons } from './render.ts'
export type { RenderOptions } from './render.ts'
export { resolveLexicon } from './resolve-lexicon.ts'
export type { ResolvedLexicon, ResolveLexiconOptions } from './resolve-lexicon.ts'
export { vendor } from './vendor.ts'
export type { VendorOptions } from './vendor.ts'
