/** Runs one prepared statement of the transaction. */
export type Run = (
  sql: string,
  parameters: readonly unknown[],
) => Promise<Readonly<Record<string, unknown>>[]>
