import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { getPublicKeyFromDidController, Secp256k1PublicKey } from '@atcute/crypto'
import { fromUint8Array, verifyRecord } from '@atcute/repo'
import { verifyRepoCar } from '@atproto/repo'
import { describe, expect, it } from 'vitest'

import { RepoError, verifyRepoSync } from '../src/index.ts'
import {
  buildVectors,
  formatIndex,
  VECTOR_DID,
  VECTOR_PUBLIC_KEY,
  vectorKey,
} from '../vectors/build.ts'

const folder = fileURLToPath(new URL('../vectors', import.meta.url))

async function judgedByReference(car: Uint8Array): Promise<boolean> {
  return verifyRepoCar(car, VECTOR_DID, `did:key:${VECTOR_PUBLIC_KEY}`).then(
    () => true,
    () => false,
  )
}

/** Reads every record, then proves the first with its signature: all that package offers for a whole repo. */
async function judgedByAtcute(car: Uint8Array): Promise<boolean> {
  try {
    const { publicKeyBytes, type } = getPublicKeyFromDidController({
      type: 'Multikey',
      publicKeyMultibase: VECTOR_PUBLIC_KEY,
    })
    if (type !== 'secp256k1') throw new Error('wrong curve')
    const publicKey = await Secp256k1PublicKey.importRaw(publicKeyBytes)
    for (const { collection, rkey } of fromUint8Array(car)) {
      await verifyRecord({ did: VECTOR_DID, collection, rkey, publicKey, carBytes: car })
    }
    return true
  } catch {
    return false
  }
}

function classOf(name: string, expected: string): string {
  if (expected === 'accept') return 'controls that must be accepted'
  if (expected === 'InvalidMst') return 'trees that break a rule'
  if (expected === 'InvalidRecord') return 'records that are not canonical'
  if (/^(commit|signature)/.test(name)) return 'commits and signatures'
  return 'CAR files, hashes, absent blocks'
}

describe('the vectors', () => {
  it('in the folder are what the generator makes', async () => {
    const vectors = await buildVectors()
    expect(vectors.length).toBeGreaterThanOrEqual(64)
    expect(readFileSync(`${folder}/index.json`, 'utf8')).toBe(formatIndex(vectors))
    const files = readdirSync(folder).filter((name) => name.endsWith('.car'))
    expect(files.toSorted()).toEqual(vectors.map(({ name }) => `${name}.car`).toSorted())
    for (const { name, car } of vectors) {
      expect(Buffer.compare(readFileSync(`${folder}/${name}.car`), car), name).toBe(0)
    }
  })

  it('get the verdict of the index from us, and the README shows what others say', async () => {
    const rows: string[] = []
    const classes = new Map<
      string,
      [total: number, ours: number, reference: number, atcute: number]
    >()
    for (const { name, expected, car } of await buildVectors()) {
      let ours: string = 'accept'
      try {
        verifyRepoSync(car, { did: VECTOR_DID, key: vectorKey })
      } catch (error) {
        if (!(error instanceof RepoError)) throw error
        ours = error.code
      }
      expect(ours, name).toBe(expected)
      const others = [await judgedByReference(car), await judgedByAtcute(car)]
      const right = others.map((accepted) => Number(accepted === (expected === 'accept')))
      const [total, own, reference, atcute] = classes.get(classOf(name, expected)) ?? [0, 0, 0, 0]
      classes.set(classOf(name, expected), [
        total + 1,
        own + 1,
        reference + (right[0] ?? 0),
        atcute + (right[1] ?? 0),
      ])
      const words = others.map((accepted) => {
        const right = accepted === (expected === 'accept')
        const word = accepted ? 'accepts' : 'refuses'
        return right ? word : `**${word}**`
      })
      rows.push(`| \`${name}\` | ${expected} | ${words.join(' | ')} |`)
    }
    const readme = readFileSync(`${folder}/README.md`, 'utf8').replace(/ +/g, ' ')
    for (const row of rows) expect(readme).toContain(row)
    const main = readFileSync(`${folder}/../README.md`, 'utf8').replace(/ +/g, ' ')
    for (const [name, counts] of classes)
      expect(main).toContain(`| ${name} | ${counts.join(' | ')} |`)
  })
})
