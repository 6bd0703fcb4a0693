/** Text that is markup already: what {@link html} makes, and nothing else. */
export class Html {
  readonly text: string
  /** @internal */
  constructor(text: string) {
    this.text = text
  }
}

/** What may stand between the markup: text is escaped, lists are joined, `undefined` is nothing. */
export type HtmlValue = string | number | undefined | Html | readonly Html[]

/** Template tag for markup in which every value is escaped, fit for elements and quoted attributes. */
export function html(markup: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(
    markup.map((part, index) => (index === 0 ? '' : toText(values[index - 1])) + part).join(''),
  )
}

function toText(value: HtmlValue): string {
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.map(toText).join('')
  return String(value ?? '').replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}
