import type { IndexTransaction } from '../src/stores/transaction.ts'

/** A transaction whose methods can be spread: they live on its class. */
export function bound(tx: IndexTransaction): IndexTransaction {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(tx)) as (keyof IndexTransaction)[]
  const methods = names.map((name) => [
    name,
    (tx[name] as (...args: unknown[]) => unknown).bind(tx),
  ])
  return Object.fromEntries(methods) as IndexTransaction
}
