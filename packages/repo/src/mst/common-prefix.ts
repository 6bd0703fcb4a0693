/** Gives how many characters (bytes, for byte strings) two keys share from the start. */
export function commonPrefixLength(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  let at = 0
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at++
  return at
}
