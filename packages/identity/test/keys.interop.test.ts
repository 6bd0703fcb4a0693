import { describe, expect, it } from 'vitest'
import { base58btc } from 'multiformats/bases/base58'
import { base64 } from 'multiformats/bases/base64'
import { importPrivateKey, parsePublicKey, verifyBackends } from '../src/keys/index.ts'
import { fixtureJson, haveFixtures } from './fixtures.ts'

interface SignatureVector {
  comment: string
  messageBase64: string
  algorithm: string
  publicKeyDid: string
  signatureBase64: string
  validSignature: boolean
}

function bytes(text: string): Uint8Array {
  return base64.baseDecode(text)
}

describe.skipIf(!haveFixtures)('interop: crypto', () => {
  it('agrees with all 6 signature vectors on every backend', () => {
    const vectors = fixtureJson('interop/crypto/signature-fixtures.json') as SignatureVector[]
    expect(vectors).toHaveLength(6)
    let checked = 0
    for (const backend of verifyBackends) {
      for (const vector of vectors) {
        const key = parsePublicKey(vector.publicKeyDid, { backend })
        expect(key.jwtAlg).toBe(vector.algorithm)
        const valid = key.verify(bytes(vector.messageBase64), bytes(vector.signatureBase64))
        expect(valid, `${backend.name}: ${vector.comment}`).toBe(vector.validSignature)
        checked++
      }
    }
    expect(checked).toBe(6 * verifyBackends.length)
  })

  it('accepts high-S vectors only when asked to', () => {
    const vectors = fixtureJson('interop/crypto/signature-fixtures.json') as SignatureVector[]
    const high = vectors.filter(({ comment }) => comment.includes('non-low-S'))
    expect(high).toHaveLength(2)
    for (const vector of high) {
      for (const backend of verifyBackends) {
        const key = parsePublicKey(vector.publicKeyDid, { backend })
        const args = [bytes(vector.messageBase64), bytes(vector.signatureBase64)] as const
        expect(key.verify(...args)).toBe(false)
        expect(key.verify(...args, { allowHighS: true })).toBe(true)
      }
    }
  })

  it('derives the did:key of all 6 W3C vectors', () => {
    const k256 = fixtureJson('interop/crypto/w3c_didkey_K256.json') as Record<string, string>[]
    const p256 = fixtureJson('interop/crypto/w3c_didkey_P256.json') as Record<string, string>[]
    expect([k256.length, p256.length]).toEqual([5, 1])
    for (const vector of k256) {
      const key = importPrivateKey('k256', vector['privateKeyBytesHex']!)
      expect(key.didKey).toBe(vector['publicDidKey'])
    }
    for (const vector of p256) {
      const secret = base58btc.baseDecode(vector['privateKeyBytesBase58']!)
      expect(importPrivateKey('p256', secret).didKey).toBe(vector['publicDidKey'])
    }
  })
})
