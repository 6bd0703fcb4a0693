import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { sha256 } from 'multiformats/hashes/sha2'
import { describe, expect, it } from 'vitest'

import {
  asCid,
  cidForCbor,
  cidForRaw,
  cidFromBytes,
  createCid,
  encodeCbor,
  equalCids,
  InvalidCidError,
  isCid,
  parseCid,
} from '../src/index.ts'
import { cidFromForeignBytes, cidFromKey, cidKey, formatCidKey } from '../src/cid.ts'

describe('CIDs', () => {
  it('are those of multiformats', async () => {
    const bytes = encodeCbor({ hello: 'world' })
    const digest = await sha256.digest(bytes)
    expect(cidForCbor(bytes).toString()).toBe(CID.createV1(0x71, digest).toString())
    expect(cidForRaw(bytes).toString()).toBe(CID.createV1(0x55, digest).toString())
    expect(createCid(0x71, digest.digest).equals(CID.createV1(0x71, digest))).toBe(true)
    const text = cidForCbor(bytes).toString()
    expect(parseCid(text).toString()).toBe(text)
    expect(equalCids(parseCid(text), cidFromBytes(CID.parse(text).bytes))).toBe(true)
    expect(cidFromKey(cidKey(parseCid(text))).toString()).toBe(text)
    expect(formatCidKey(cidKey(parseCid(text)))).toBe(text)
  })

  it.each<[string, string]>([
    ['nothing', ''],
    ['version 0', 'QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR'],
    ['upper case', 'BAFYREIE5737GDXLW5I64VZICHCALBA3Z2V5N6ICIFVX5XYTVSKE7MR3HPM'],
    ['mixed case', 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpM'],
    ['base58', 'zdpuAyvkgEDQm9TenwGkd5eNaosSxjgEYd8QatfPetgB1CdEZ'],
    ['a character too many', 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpma'],
    ['a character too few', 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hp'],
    ['padding', 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm=='],
    ['stray bits', 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpn'],
    [
      'another codec',
      CID.createV1(
        0x70,
        CID.parse('bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm').multihash,
      ).toString(),
    ],
    ['the identity hash', CID.createV1(0x71, identity.digest(new Uint8Array(4))).toString()],
    ['much text', 'b'.repeat(100_000)],
  ])('are not parsed from %s', (_what, text) => {
    expect(() => parseCid(text)).toThrow(InvalidCidError)
  })

  it('are read from foreign bytes only when well-formed and of version 1', () => {
    const unusual = CID.createV1(0x55, identity.digest(new Uint8Array(4)))
    expect(cidFromForeignBytes(unusual.bytes).toString()).toBe(unusual.toString())
    expect(() => cidFromBytes(unusual.bytes)).toThrow(InvalidCidError)
    const version0 = CID.parse('QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR').bytes
    for (const bytes of [
      version0,
      new Uint8Array(0),
      Uint8Array.of(1),
      new Uint8Array(200).fill(1),
    ]) {
      expect(() => cidFromForeignBytes(bytes)).toThrow(InvalidCidError)
    }
    expect(() => createCid(0x70, new Uint8Array(32))).toThrow(InvalidCidError)
    expect(() => createCid(0x71, new Uint8Array(31))).toThrow(InvalidCidError)
  })

  it('are recognised by shape, not by class', () => {
    const cid = cidForRaw(new Uint8Array(1))
    expect(isCid(cid)).toBe(true)
    for (const value of [
      null,
      undefined,
      'x',
      1,
      {},
      { '/': cid.bytes },
      { bytes: cid.bytes },
      { '/': 1, bytes: 1 },
    ]) {
      expect(isCid(value)).toBe(false)
    }
    const foreign = {
      code: 0x55,
      version: 1,
      multihash: cid.multihash,
      bytes: cid.bytes,
      '/': cid.bytes,
    }
    expect(asCid(foreign)?.toString()).toBe(cid.toString())
  })

  it('do not share memory with what they were read from', () => {
    const bytes = cidForRaw(new Uint8Array(1)).bytes.slice()
    const cid = cidFromBytes(bytes)
    const text = cid.toString()
    bytes.fill(0)
    expect(cidFromBytes(cid.bytes).toString()).toBe(text)
  })
})
