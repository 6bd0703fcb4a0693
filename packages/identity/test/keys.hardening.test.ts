import { inspect } from 'node:util'
import { base58btc } from 'multiformats/bases/base58'
import { describe, expect, it } from 'vitest'
import {
  InvalidKeyError,
  generatePrivateKey,
  importPrivateKey,
  parsePublicKey,
  publicKeyFromBytes,
  toLowS,
  verifyBackends,
} from '../src/keys/index.ts'
import type { Curve } from '../src/keys/index.ts'

const curves: readonly Curve[] = ['k256', 'p256']
const order = {
  k256: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  p256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
}

function number(value: bigint): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
}

function pair(r: bigint, s: bigint): Uint8Array {
  return Uint8Array.from([...number(r), ...number(s)])
}

function multikey(codec: number[], point: Uint8Array): string {
  return base58btc.encode(Uint8Array.from([...codec, ...point]))
}

describe.each(curves)('%s signatures', (curve) => {
  const key = generatePrivateKey(curve)
  const message = new TextEncoder().encode('hello')
  const signature = key.sign(message)
  const n = order[curve]
  const r = BigInt(`0x${Buffer.from(signature.subarray(0, 32)).toString('hex')}`)
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`)
  const der = Uint8Array.from([
    0x30,
    0x44,
    2,
    32,
    ...signature.subarray(0, 32),
    2,
    32,
    ...signature.subarray(32),
  ])
  const refused: Record<string, Uint8Array> = {
    empty: new Uint8Array(),
    'one byte short': signature.slice(0, 63),
    'one byte long': Uint8Array.from([...signature, 0]),
    DER: der,
    'high-S': pair(r, n - s),
    'zero r': pair(0n, s),
    'zero s': pair(r, 0n),
    'all zero': new Uint8Array(64),
    'all ones': new Uint8Array(64).fill(255),
    'r = n': pair(n, s),
    's = n': pair(r, n),
    's = n - 1': pair(r, n - 1n),
    's + n where it fits': pair(r, (s + n) % (1n << 256n)),
    'swapped halves': pair(s, r),
  }

  it.each(Object.keys(refused))('refuses %s on every backend', (name) => {
    for (const backend of verifyBackends) {
      const publicKey = parsePublicKey(key.didKey, { backend })
      expect(publicKey.verify(message, signature)).toBe(true)
      expect(publicKey.verify(message, refused[name]!), backend.name).toBe(false)
    }
  })

  it('normalises a high-S signature to the low-S one and leaves a low-S one alone', () => {
    expect(toLowS(curve, pair(r, n - s))).toEqual(signature)
    expect(toLowS(curve, signature)).toEqual(signature)
    expect(() => toLowS(curve, new Uint8Array(64))).toThrow(RangeError)
  })

  it('refuses a signature by another key and over another message', () => {
    const other = generatePrivateKey(curve)
    for (const backend of verifyBackends) {
      expect(parsePublicKey(other.didKey, { backend }).verify(message, signature)).toBe(false)
      const right = parsePublicKey(key.didKey, { backend })
      expect(right.verify(new TextEncoder().encode('hellO'), signature)).toBe(false)
    }
  })
})

describe.each(curves)('%s keys', (curve) => {
  const key = generatePrivateKey(curve)
  const codec = curve === 'k256' ? [0xe7, 0x01] : [0x80, 0x24]
  const point = key.publicKey.bytes
  const offCurve = point.slice()
  // Half of all x have no point: walk to one that has none.
  for (let x = 1; x < 64; x++) {
    offCurve.fill(0, 1)
    offCurve[32] = x
    try {
      publicKeyFromBytes(curve, offCurve)
    } catch {
      break
    }
  }
  const refused: Record<string, string> = {
    empty: '',
    'did:key: alone': 'did:key:',
    'another multibase': `did:key:f${Buffer.from([...codec, ...point]).toString('hex')}`,
    'no multicodec': base58btc.encode(point),
    'ed25519 codec': multikey([0xed, 0x01], point),
    'point too short': multikey(codec, point.slice(0, 32)),
    'point too long': multikey(codec, Uint8Array.from([...point, 0])),
    'uncompressed point': multikey(codec, new Uint8Array(65).fill(4)),
    'sign byte 4': multikey(codec, Uint8Array.from([4, ...point.subarray(1)])),
    'x beyond the field': multikey(codec, Uint8Array.from([2, ...new Uint8Array(32).fill(255)])),
    'x off the curve': multikey(codec, offCurve),
    'character outside base58': `${key.didKey.slice(0, -1)}0`,
    'a line break': `${key.didKey}\n`,
    'a fragment': `${key.didKey}#${key.publicKey.multibase}`,
    'a megabyte of z': 'z'.repeat(1_000_000),
  }

  it.each(Object.keys(refused))('refuses %s with InvalidKeyError on every backend', (name) => {
    for (const backend of verifyBackends) {
      expect(() => parsePublicKey(refused[name]!, { backend }), backend.name).toThrow(
        InvalidKeyError,
      )
    }
  })

  it('reads did:key, multibase, compressed and uncompressed bytes as the same key', () => {
    const uncompressed = Uint8Array.from(
      key.curve === 'k256' ? uncompress('secp256k1', point) : uncompress('prime256v1', point),
    )
    for (const same of [
      parsePublicKey(key.didKey),
      parsePublicKey(key.publicKey.multibase),
      publicKeyFromBytes(curve, point),
      publicKeyFromBytes(curve, uncompressed),
    ]) {
      expect(same.didKey).toBe(key.didKey)
      expect(same.bytes).toEqual(point)
      expect(same.curve).toBe(curve)
    }
    expect(() => publicKeyFromBytes(curve, uncompressed.fill(1, 40))).toThrow(InvalidKeyError)
  })

  it('imports what it exports, and refuses secrets out of range', () => {
    expect(importPrivateKey(curve, key.export()).didKey).toBe(key.didKey)
    expect(importPrivateKey(curve, Buffer.from(key.export()).toString('hex')).didKey).toBe(
      key.didKey,
    )
    for (const bad of [
      new Uint8Array(32),
      new Uint8Array(31).fill(1),
      number(order[curve]),
      new Uint8Array(32).fill(255),
      'zz'.repeat(32),
      '',
    ]) {
      expect(() => importPrivateKey(curve, bad)).toThrow(InvalidKeyError)
    }
  })

  it('takes what is no bytes and no text for a bad key or signature, as fields of foreign JSON may be', () => {
    const message = new Uint8Array(5)
    for (const value of [undefined, null, 7, {}, [], 'x'.repeat(64), Array(64).fill(1)]) {
      const foreign = value as unknown as Uint8Array & string
      expect(key.publicKey.verify(message, foreign)).toBe(false)
      expect(key.publicKey.verify(message, foreign, { allowHighS: true })).toBe(false)
      expect(() => parsePublicKey(foreign)).toThrow(InvalidKeyError)
      expect(() => importPrivateKey(curve, foreign)).toThrow(InvalidKeyError)
    }
    for (const other of ['ed25519', 'toString', undefined]) {
      const foreign = other as unknown as typeof curve
      expect(() => generatePrivateKey(foreign)).toThrow(InvalidKeyError)
      expect(() => importPrivateKey(foreign, key.export())).toThrow(InvalidKeyError)
    }
  })

  it('keeps the secret out of printing and JSON, and out of reach of its exporter', () => {
    const hex = Buffer.from(key.export()).toString('hex')
    expect(JSON.stringify(key)).toBe(JSON.stringify({ didKey: key.didKey }))
    expect(inspect(key, { depth: 9, showHidden: true })).not.toContain(hex.slice(0, 16))
    key.export().fill(0)
    expect(Buffer.from(key.export()).toString('hex')).toBe(hex)
  })
})

function uncompress(name: string, point: Uint8Array): Uint8Array {
  const { ECDH } = process.getBuiltinModule('node:crypto')
  return ECDH.convertKey(point, name, undefined, undefined, 'uncompressed') as Buffer
}
