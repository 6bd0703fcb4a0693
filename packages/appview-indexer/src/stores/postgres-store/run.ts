/** Runs one prepared statement of the transaction; arrays as `arrayBytes` makes them. */
export type Run = (
  sql: string,
  parameters: readonly unknown[],
) => Promise<Readonly<Record<string, unknown>>[]>

/** Sends one without waiting for its answer; a failure is met when the transaction ends. */
export type Send = (sql: string, parameters: readonly unknown[]) => void
