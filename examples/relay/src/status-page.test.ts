import { describe, expect, it } from 'vitest'
import { renderHost, renderIndex, renderMessage } from './status-page.ts'

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
      firstSeq: 1,
      lastSeq: 2,
      subscribers: 0,
      more: true,
    })
    for (const html of [page, index, renderMessage(EVIL, EVIL)]) {
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
    expect(page).toContain('<td class="number">7</td>')
  })
})
