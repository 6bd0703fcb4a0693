/**
 * What tests of servers need: service tokens that are wrong in every way known.
 *
 * @packageDocumentation
 */
export { createForgeries, createGenuineToken } from './forgeries.ts'
export type { Forgery, ForgeryOptions } from './forgeries.ts'
