import { decodeEvent, type CommitEvent } from '@skywright/firehose'
import { createProverPool } from '@skywright/firehose/workers'
import { parsePublicKey } from '@skywright/identity/keys'
import { readLiveFrames } from '../fixtures.ts'
import { race, type Contender, type Row } from '../row.ts'

/** Captured commits handed out at once, again and again: a relay that has work does not wait for the last of a batch. */
const REPEATS = 40

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
    const tasks = Array.from({ length: REPEATS }, () => commits).flat()
    await using two = createProverPool({ workers: 2 })
    await using one = createProverPool({ workers: 1 })
    const rates = await race(proveAll(two, tasks), proveAll(one, tasks))
    return {
      ...rates,
      note: `${commits.length} captured commits, ${tasks.length} at a time; a third thread hands them out`,
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
