import { describe, expect, it } from 'vitest'
import { html } from './html.ts'

describe('html', () => {
  it('escapes what stands in elements and attributes', () => {
    const hostile = `"><script>alert('&')</script>`
    const { text } = html`<b title="${hostile}">${hostile}</b>`
    const escaped = '&#34;&#62;&#60;script&#62;alert(&#39;&#38;&#39;)&#60;/script&#62;'
    expect(text).toBe(`<b title="${escaped}">${escaped}</b>`)
  })
  it('escapes once', () => {
    expect(html`<p>${html`<b>${'a & b'}</b>`}</p>`.text).toBe('<p><b>a &#38; b</b></p>')
  })
  it('joins lists and leaves out what is absent', () => {
    expect(html`${[1, 2].map((n) => html`<i>${n}</i>`)}${undefined}`.text).toBe('<i>1</i><i>2</i>')
  })
  it('keeps emoji of several code points', () => {
    expect(html`${'🧑‍💻'}`.text).toBe('🧑‍💻')
  })
})
