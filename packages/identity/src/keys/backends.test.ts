import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { createNativeBackend, isNativeSecp256k1 } from './backend-native.ts'
import { nobleBackend } from './backend-noble.ts'
import { createNodeBackend } from './backend-node.ts'
import { nodeCrypto, sha256, verifyBackends } from './backends.ts'
import { generatePrivateKey } from './private-key.ts'
import { parsePublicKey } from './public-key.ts'

describe('verifyBackends', () => {
  it('holds every backend that can run here, fastest first', () => {
    const require = createRequire(import.meta.url)
    expect(isNativeSecp256k1(require('secp256k1'))).toBe(true)
    expect(verifyBackends.map(({ name }) => name)).toEqual(['native', 'node', 'noble'])
  })

  it('does without node:crypto where it lacks a curve', () => {
    const crypto = { ...nodeCrypto!, getCurves: () => ['prime256v1'] }
    expect(createNodeBackend(crypto)).toBeUndefined()
    const none = {
      ...nodeCrypto!,
      getCurves: (): string[] => {
        throw new Error('not here')
      },
    }
    expect(createNodeBackend(none)).toBeUndefined()
  })

  it('takes no module for native that lacks a function', () => {
    expect(isNativeSecp256k1(undefined)).toBe(false)
    expect(isNativeSecp256k1({ ecdsaVerify: () => true })).toBe(false)
  })

  it('says no when a backend throws', () => {
    const broken = (): never => {
      throw new Error('broken')
    }
    const native = {
      ecdsaVerify: broken,
      ecdsaSign: broken,
      publicKeyCreate: broken,
      publicKeyConvert: (bytes: Uint8Array) => bytes,
    }
    const backend = createNativeBackend(native, sha256, nobleBackend)
    const key = generatePrivateKey('k256')
    expect(
      parsePublicKey(key.didKey, { backend }).verify(
        new Uint8Array(1),
        key.sign(new Uint8Array(1)),
      ),
    ).toBe(false)
    const p256 = generatePrivateKey('p256')
    expect(
      parsePublicKey(p256.didKey, { backend }).verify(
        new Uint8Array(1),
        p256.sign(new Uint8Array(1)),
      ),
    ).toBe(true)
  })
})
