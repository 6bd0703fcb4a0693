import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { signToken, verifyToken, type TokenClaims } from './token.ts'

const secret = 'a secret of more than 32 characters'
const claims: TokenClaims = {
  sub: 'did:plc:abc',
  aud: 'did:web:pds.example.com',
  scope: 'com.atproto.access',
  iat: 1_000,
  exp: 2_000,
}
const options = { secret, audience: claims.aud, nowMs: 1_500_000 }

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function handMade(header: object, payload: object, key = secret): string {
  const content = `${base64url(header)}.${base64url(payload)}`
  return `${content}.${createHmac('sha256', key).update(content).digest('base64url')}`
}

describe('verifyToken', () => {
  it('accepts what signToken made, and clients can read it', () => {
    const token = signToken('access', claims, secret)
    expect(verifyToken('access', token, options)).toEqual({ claims })
    const [header, payload] = token
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString())
    expect(JSON.parse(header ?? '')).toEqual({ typ: 'at+jwt', alg: 'HS256' })
    expect(JSON.parse(payload ?? '')).toEqual(claims)
  })

  it('reports expiry only of genuine tokens, with their claims', () => {
    const token = signToken('access', claims, secret)
    const late = { ...options, nowMs: 2_000_000 }
    expect(verifyToken('access', token, late)).toEqual({ claims, problem: 'expired' })
    const forged = signToken('access', claims, 'another secret')
    expect(verifyToken('access', forged, late)).toEqual({ problem: 'bad-signature' })
  })

  it('never takes one kind for the other', () => {
    expect(verifyToken('access', signToken('refresh', claims, secret), options)).toEqual({
      problem: 'wrong-kind',
    })
    expect(verifyToken('refresh', signToken('access', claims, secret), options)).toEqual({
      problem: 'wrong-kind',
    })
  })

  it.each([
    ['no algorithm', handMade({ typ: 'at+jwt', alg: 'none' }, claims), 'wrong-kind'],
    ['another type', handMade({ typ: 'JWT', alg: 'HS256' }, claims), 'wrong-kind'],
    ['another key', handMade({ typ: 'at+jwt', alg: 'HS256' }, claims, 'other'), 'bad-signature'],
    [
      'another audience',
      signToken('access', { ...claims, aud: 'did:web:other' }, secret),
      'wrong-audience',
    ],
    ['two parts', 'a.b', 'malformed'],
    ['four parts', `${signToken('access', claims, secret)}.x`, 'malformed'],
    ['nothing', '', 'malformed'],
    ['too much', 'x'.repeat(5_000), 'malformed'],
    [
      'an emptied signature',
      signToken('access', claims, secret).replace(/\.[^.]*$/, '.'),
      'bad-signature',
    ],
  ])('refuses %s', (_name, token, problem) => {
    expect(verifyToken('access', token, options)).toEqual({ problem })
  })

  it('refuses a token with any character of its payload changed', () => {
    const token = signToken('access', claims, secret)
    const [header = '', payload = '', signature = ''] = token.split('.')
    for (let i = 0; i < payload.length; i++) {
      const changed = payload[i] === 'A' ? 'B' : 'A'
      const altered = `${header}.${payload.slice(0, i)}${changed}${payload.slice(i + 1)}.${signature}`
      expect(verifyToken('access', altered, options)).toEqual({ problem: 'bad-signature' })
    }
  })
})
