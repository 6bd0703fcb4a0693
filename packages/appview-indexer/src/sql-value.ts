/** Values a SQL parameter may have. */
export type SqlValue = string | number | bigint | Uint8Array | null
