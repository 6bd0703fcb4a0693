/**
 * Text as every store can keep it, so that all keep the same: U+0000, which Postgres refuses, and halves of characters,
 * which are no UTF-8, become U+FFFD. Record bytes are never touched.
 */
export function storableText(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed()
  return whole.includes('\u0000') ? whole.replaceAll('\u0000', '\uFFFD') : whole
}
