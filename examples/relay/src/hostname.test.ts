import { describe, expect, it } from 'vitest'
import { isUnderDomain, parseHostname } from './hostname.ts'

describe('parseHostname', () => {
  it.each([
    ['pds.example.com', 'pds.example.com', 'https://pds.example.com'],
    ['PDS.Example.Com', 'pds.example.com', 'https://pds.example.com'],
    ['a-b.xn--bcher-kva.de', 'a-b.xn--bcher-kva.de', 'https://a-b.xn--bcher-kva.de'],
  ])('accepts the public name %s', (text, hostname, url) => {
    expect(parseHostname(text, { development: false })).toEqual({ hostname, url })
  })

  it.each([
    'https://pds.example.com',
    'pds.example.com/path',
    'pds.example.com:443',
    'user@pds.example.com',
    'pds example.com',
    'localhost',
    'localhost:2583',
    'pds',
    'pds.local',
    'pds.test',
    '127.0.0.1',
    '10.0.0.1',
    '0x7f.1',
    '127.0x1',
    '127.0.0.0x1',
    'a.0x7f000001',
    'pds.example.0x',
    '[::1]',
    '::1',
    '',
    '.',
    'pds..example.com',
    '-pds.example.com',
    'pds-.example.com',
    `${'a'.repeat(64)}.com`,
    `${'a.'.repeat(130)}com`,
    'pds.example.com.',
    'pd\u0000s.example.com',
    'pdſ.example.com',
  ])('refuses %j on the internet', (text) => {
    expect(parseHostname(text, { development: false })).toBeTypeOf('string')
  })

  it.each(['localhost:2583', '127.0.0.1:80', 'pds.test:1', 'localhost'])(
    'takes %s over http in development',
    (text) => {
      expect(parseHostname(text, { development: true })).toEqual({
        hostname: text,
        url: `http://${text}`,
      })
    },
  )

  it.each(['localhost:0', 'localhost:65536', 'localhost:x', 'localhost:', 'http://localhost:1'])(
    'refuses %s even in development',
    (text) => {
      expect(parseHostname(text, { development: true })).toBeTypeOf('string')
    },
  )

  it('keeps public names on https in development', () => {
    expect(parseHostname('pds.example.com', { development: true })).toMatchObject({
      url: 'https://pds.example.com',
    })
  })
})

describe('isUnderDomain', () => {
  it('covers the domain and its subdomains, on label boundaries', () => {
    const domains = ['bad.example']
    expect(isUnderDomain('bad.example', domains)).toBe(true)
    expect(isUnderDomain('pds.bad.example', domains)).toBe(true)
    expect(isUnderDomain('pds.bad.example:80', domains)).toBe(true)
    expect(isUnderDomain('notbad.example', domains)).toBe(false)
    expect(isUnderDomain('bad.example.com', domains)).toBe(false)
  })
})
