import { parseCommitAuthenticated } from '@atproto/sync'
import { Frame } from '@atproto/xrpc-server'
import { decodeEvent } from '@skywright/firehose'
import { parsePublicKey, verifyBackends, type PublicKey } from '@skywright/identity/keys'
import { verifyCommit } from '@skywright/repo'
import { readLiveFrames } from '../fixtures.ts'
import { race, type Contender, type Row } from '../row.ts'

const { frames, signingKeys } = readLiveFrames()

export const row: Row = commitVerifyRow('node', 'node:crypto')

/** The row with signatures checked by one of the backends. */
export function commitVerifyRow(backendName: string, title: string): Row {
  return {
    work: `verify a captured #commit, signatures on ${title}: ours everything (frame, CAR, every hash, signature, ops, inversion); the rival signature and op CIDs`,
    unit: '/s',
    rivalName: '@atproto/sync',
    async measure() {
      const backend = verifyBackends.find(({ name }) => name === backendName)
      if (backend === undefined) throw new Error(`no ${backendName} backend in this process`)
      const keys = new Map(
        [...signingKeys].map(([did, key]) => [did, parsePublicKey(key, { backend })]),
      )
      const commits = frames.filter((frame) => decodeEvent(frame).type === 'commit')
      const rates = await race(verifyAll(commits, keys), atprotoSync(commits))
      return { ...rates, note: `${commits.length} captured commits, keys cached` }
    },
  }
}

/** Verifies every commit once. */
function verifyAll(
  commits: readonly Uint8Array[],
  keys: ReadonlyMap<string, PublicKey>,
): Contender {
  return {
    run() {
      for (const frame of commits) {
        const event = decodeEvent(frame)
        const key = event.type === 'commit' ? keys.get(event.did) : undefined
        if (event.type !== 'commit' || key === undefined)
          throw new Error('not a commit of a known account')
        verifyCommit({ ...event, key })
      }
      return commits.length
    },
  }
}

function atprotoSync(commits: readonly Uint8Array[]): Contender {
  // The two methods of its identity resolver that the rival calls, answered from the capture.
  const resolver = {
    did: { resolveAtprotoKey: (did: string) => Promise.resolve(signingKeys.get(did)) },
  } as unknown as Parameters<typeof parseCommitAuthenticated>[0]
  return {
    async run() {
      for (const bytes of commits) {
        const frame = Frame.fromBytes(bytes)
        const body = frame.body as Parameters<typeof parseCommitAuthenticated>[1]
        const events = await parseCommitAuthenticated(resolver, body)
        if (events.length !== body.ops.length) throw new Error('the rival did not verify every op')
      }
      return commits.length
    },
  }
}
