import { describe, expect, it } from 'vitest'
import { PAGE_HEADERS, renderHost, renderIndex, renderMessage } from './status-page.ts'

const EVIL = `"><script>alert('x')</script>&`

describe('status pages', () => {
  it('escape everything a host can choose', () => {
    const page = renderHost({
      hostname: EVIL,
      status: EVIL,
      enforcement: EVIL,
      accountCount: 1,
      accountLimit: 100,
      addedAt: '2026-11-21T00:00:00.000Z',
      outcomes: [{ outcome: EVIL, reason: EVIL, count: 1, lastAt: '2026-11-21T00:00:00.000Z' }],
      incidents: [
        {
          at: '2026-11-21T00:00:00.000Z',
          outcome: EVIL,
          reason: EVIL,
          did: EVIL,
          rev: EVIL,
          detail: EVIL,
        },
      ],
    })
    const index = renderIndex({
      hosts: [
        {
          hostname: EVIL,
          url: EVIL,
          status: 'active',
          cursor: undefined,
          enforcement: 'enforce',
          accountCount: 0,
          accountLimit: 1,
          addedAtMs: 0,
          lastEventAtMs: undefined,
        },
      ],
      lastSeq: 2,
      subscribers: 0,
      more: true,
    })
    for (const html of [page, index, renderMessage(EVIL, EVIL)]) {
      // Nothing of it ends an attribute, a tag, or the style.
      expect(html.split('<style>')).toHaveLength(2)
      expect(html.replace(/<style>.*?<\/style>/s, '')).not.toMatch(
        /<(?!\/?(a|b|body|br|button|code|!doctype|form|h1|h2|head|html|input|label|meta|p|span|table|td|th|time|title|tr)[ >])/,
      )
      expect(html).not.toContain('<script>')
      expect(html).not.toContain(`"><script`)
      expect(html).toContain('&#60;script&#62;')
    }
  })

  it('explain a reason to the host owner', () => {
    const page = renderHost({
      hostname: 'pds.example.com',
      status: 'active',
      enforcement: 'enforce',
      accountCount: 1,
      accountLimit: 100,
      addedAt: '2026-11-21T00:00:00.000Z',
      outcomes: [
        {
          outcome: 'rejected',
          reason: 'bad-signature',
          count: 7,
          lastAt: '2026-11-21T00:00:00.000Z',
        },
      ],
      incidents: [],
    })
    expect(page).toContain('#atproto key')
    expect(page).toContain('<td class="number" data-name="Events">7</td>')
  })

  it('need nothing from elsewhere and no script', () => {
    const page = renderMessage('Unknown host', 'Not followed.')
    expect(page).not.toMatch(/src=|href="(?!\/)|url\(|@import|<script|\son[a-z]+=/)
    expect(PAGE_HEADERS['content-security-policy']).toContain("default-src 'none'")
    expect(PAGE_HEADERS['content-security-policy']).not.toContain('script-src')
  })

  it('say what they have nothing of', () => {
    expect(renderIndex({ hosts: [], lastSeq: 0, subscribers: 0, more: false })).toContain(
      'No host is followed yet',
    )
    const page = renderHost({
      hostname: 'pds.example.com',
      status: 'offline',
      enforcement: 'warn',
      accountCount: 1_234,
      accountLimit: 10_000_000,
      addedAt: '2026-11-21T00:00:00.000Z',
      outcomes: [],
      incidents: [],
    })
    expect(page).toContain('tried again for ever')
    expect(page).toContain('1,234 of at most 10,000,000')
    expect(page).toContain('None came yet')
    expect(page).toContain('2026-11-21 00:00:00 UTC')
  })
})
