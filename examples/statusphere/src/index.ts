/**
 * Statusphere: everybody's mood as one emoji, on a lexicon of our own.
 *
 * @packageDocumentation
 */
export { ConfigError, readConfig } from './config.ts'
export type { StatusphereConfig } from './config.ts'
export { startStatusphere } from './server.ts'
export type { Statusphere, StatusphereOverrides } from './server.ts'
