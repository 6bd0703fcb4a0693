import { decodeCbor } from '@skywright/repo'
import { getSigningKey } from '@skywright/identity'
import { describe, expect, it } from 'vitest'
import { decodeEvent } from '../src/codec.ts'
import { createMemoryChainStore } from '../src/verify/chain-store.ts'
import type { IdentitySource } from '../src/verify/identity.ts'
import { createEventVerifier } from '../src/verify/verifier.ts'
import { haveFixtures, liveFrames, readFixture } from './fixtures.ts'

type DidDocument = Parameters<typeof getSigningKey>[0]

function fixtureIdentities(): IdentitySource {
  const documents = JSON.parse(
    new TextDecoder().decode(readFixture('live-firehose/did-docs.json')),
  ) as Record<string, DidDocument>
  const identity = (did: string) => {
    const document = documents[did]
    return document === undefined
      ? undefined
      : { signingKey: getSigningKey(document), pds: undefined }
  }
  return {
    peek: identity,
    resolve: (did) => {
      const found = identity(did)
      return found === undefined ? Promise.reject(new Error('unknown')) : Promise.resolve(found)
    },
    purge: () => undefined,
  }
}

describe.skipIf(!haveFixtures('live-firehose'))('verification of real frames', () => {
  it('accepts 148 of 148 commits, with inversion', async () => {
    const verifier = createEventVerifier({
      identity: fixtureIdentities(),
      chain: createMemoryChainStore(),
      policy: 'relay',
    })
    const outcomes: Record<string, number> = {}
    for (const frame of liveFrames()) {
      const event = decodeEvent(frame)
      if (event.type !== 'commit') continue
      const outcome = await verifier.verify(event)
      const name =
        outcome.status === 'accepted' ? 'accepted' : `${outcome.status} ${outcome.reason}`
      outcomes[name] = (outcomes[name] ?? 0) + 1
      if (outcome.status === 'rejected') continue
      for (const op of event.ops) {
        const record = outcome.verified.records.get(op.path)
        expect(record === undefined).toBe(op.cid === null)
        if (record !== undefined) {
          expect(decodeCbor(record)).toMatchObject({ $type: op.path.split('/')[0] })
        }
      }
    }
    expect(outcomes).toEqual({ accepted: 148 })
  })
})
