import { decodeEvent, type CommitEvent } from '@skywright/firehose'
import { createProverPool } from '@skywright/firehose/workers'
import { parsePublicKey } from '@skywright/identity/keys'
import { readLiveFrames } from '../fixtures.ts'
import { race, type Contender, type Row } from '../row.ts'

export const row: Row = {
  work: 'verify captured #commits in two worker threads, everything as in commit-verify; the rival is one such thread',
  unit: '/s',
  rivalName: 'one thread',
  async measure() {
    const { frames, signingKeys } = readLiveFrames()
    const commits = frames.flatMap((frame) => {
      const event = decodeEvent(frame)
      if (event.type !== 'commit') return []
      const key = signingKeys.get(event.did)
      if (key === undefined) throw new Error('a commit of an unknown account')
      return [{ frame, event, key: parsePublicKey(key) }]
    })
    await using two = createProverPool({ workers: 2 })
    await using one = createProverPool({ workers: 1 })
    const rates = await race(proveAll(two, commits), proveAll(one, commits))
    return {
      ...rates,
      note: `${commits.length} captured commits at a time; a third thread hands them out`,
    }
  },
}

interface Task {
  readonly frame: Uint8Array
  readonly event: CommitEvent
  readonly key: ReturnType<typeof parsePublicKey>
}

function proveAll(
  { prove }: ReturnType<typeof createProverPool>,
  tasks: readonly Task[],
): Contender {
  return {
    async run() {
      await Promise.all(tasks.map(async ({ event, key, frame }) => await prove(event, key, frame)))
      return tasks.length
    },
  }
}
