import { describe, expect, it } from 'vitest'
import { GroupCommit } from '../src/event-log/segments/group-commit.ts'
import type { SegmentEntry } from '../src/event-log/segments/record.ts'

const entry = (seq: number): SegmentEntry => ({
  seq,
  did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
  frame: new Uint8Array(10),
  note: new Uint8Array(),
  atMs: 0,
})

/** A group commit whose writes end when they are told to. */
function setup() {
  const writes: { readonly seqs: number[]; readonly end: (error?: Error) => void }[] = []
  const durable: number[] = []
  let failures = 0
  const commits = new GroupCommit({
    append: (entries) =>
      new Promise((resolve, reject) => {
        writes.push({
          seqs: entries.map(({ seq }) => seq),
          end: (error) => (error === undefined ? resolve() : reject(error)),
        })
      }),
    onDurable: (entries) => durable.push(...entries.map(({ seq }) => seq)),
    onFailure: () => failures++,
  })
  return { commits, writes, durable, failures: () => failures }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('GroupCommit', () => {
  it('shares a write among what comes in one turn, and the next among what comes meanwhile', async () => {
    const { commits, writes, durable } = setup()
    const first = [commits.add([entry(1)]), commits.add([entry(2), entry(3)])]
    await turn()
    const second = [commits.add([entry(4)]), commits.add([entry(5)])]
    await turn()
    expect(writes.map(({ seqs }) => seqs)).toEqual([[1, 2, 3]])
    writes[0]!.end()
    await Promise.all(first)
    expect(durable).toEqual([1, 2, 3])
    await turn()
    expect(writes.map(({ seqs }) => seqs)).toEqual([
      [1, 2, 3],
      [4, 5],
    ])
    writes[1]!.end()
    await Promise.all(second)
    await commits.idle()
    expect(durable).toEqual([1, 2, 3, 4, 5])
  })

  it('tells everybody who waits why nothing is written any more', async () => {
    const { commits, writes, durable, failures } = setup()
    const waiting = [commits.add([entry(1)])]
    await turn()
    waiting.push(commits.add([entry(2)]), commits.add([entry(3)]))
    const outcomes = Promise.allSettled(waiting)
    writes[0]!.end(new Error('disk full'))
    expect(await outcomes).toMatchObject(
      [1, 2, 3].map(() => ({ reason: { message: 'disk full' } })),
    )
    await commits.idle()
    expect([writes.length, durable, failures()]).toEqual([1, [], 1])
  })

  it('refuses by itself what cannot be stored, and nothing beside it', async () => {
    const { commits, writes } = setup()
    const tooLong = commits.add([{ ...entry(1), note: new Uint8Array(8_193) }])
    const good = commits.add([entry(2)])
    await expect(tooLong).rejects.toThrow(RangeError)
    await turn()
    writes[0]!.end()
    await good
    expect(writes.map(({ seqs }) => seqs)).toEqual([[2]])
  })
})
