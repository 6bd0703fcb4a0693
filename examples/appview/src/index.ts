/**
 * An AppView for `app.bsky`: follows a relay, indexes what it verified, and serves the views that clients read.
 *
 * @packageDocumentation
 */
export { devConfig, readConfig } from './config.ts'
export type { AppViewConfig, LogLevel } from './config.ts'
export { ConfigError } from './errors.ts'
export { startAppView } from './server.ts'
export type { AppView, AppViewOptions, AppViewStatus } from './server.ts'
