/**
 * Verification in worker threads.
 *
 * @packageDocumentation
 */
export { createProverPool } from './prover-pool.ts'
export type { ProverPool, ProverPoolOptions } from './prover-pool.ts'
