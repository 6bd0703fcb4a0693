/** Gives a copy in memory of its own. `slice` does not: that of a Node `Buffer`, as files and sockets give them, is a view. */
export function copyBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
