/**
 * Whether a value of a union is of the type that is named, so that its fields can be used:
 * `if (isVariant(view.thread, 'app.bsky.feed.defs#threadViewPost')) view.thread.post`. Comparing `$type` alone does not tell
 * TypeScript, because an open union may hold any other type too.
 *
 * Looks at `$type` only. Validated values, as clients and handlers get them, have the fields that go with it.
 */
export function isVariant<V extends { readonly $type: string }, const T extends V['$type']>(
  value: V,
  $type: T,
): value is Extract<V, { readonly $type: T }> {
  return value.$type === $type
}
