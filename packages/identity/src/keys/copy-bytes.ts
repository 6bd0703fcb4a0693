/** A copy in memory of its own. `slice` does not do: that of a Node `Buffer` is a view. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
