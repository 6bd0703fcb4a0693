/**
 * A Personal Data Server. `startPds` boots it in this process; `readConfig` reads its environment.
 *
 * @packageDocumentation
 */
export { devConfig, readConfig } from './config.ts'
export type { PdsConfig } from './config.ts'
export { ConfigError } from './errors.ts'
export { startPds } from './server.ts'
export type { Pds, PdsDependencies } from './server.ts'
