/**
 * Tap: repositories somebody else follows, verifies and fetches, as small JSON with acknowledgements.
 *
 * @packageDocumentation
 */
export { subscribeTap } from './subscribe-tap.ts'
export type { SubscribeTapOptions } from './subscribe-tap.ts'
