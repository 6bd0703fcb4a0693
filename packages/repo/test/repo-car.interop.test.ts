import { describe, expect, it } from 'vitest'

import { decodeCar, readCar, verifyRepo, verifyRepoSync } from '../src/index.ts'
import { hasFixtures, readFixture, readKeys, readTextFixture } from './fixtures.ts'

describe.skipIf(!hasFixtures)('the captured repo', () => {
  it('verifies and lists the 23 records another implementation listed', async () => {
    const bytes = readFixture('live-firehose/repo.car')
    const expected = readTextFixture('live-firehose/repo-records.tsv').trim().split('\n')
    expect(expected.length).toBe(23)
    const did = 'did:plc:53iucmf5ldftgqyf2ac7hmhd'
    const key = readKeys().get(did)
    for (const repo of [
      verifyRepoSync(bytes, { did, key }),
      await verifyRepo(bytes, { did, key }),
    ]) {
      expect([...repo.records()].map(({ path, cid }) => `${path}\t${cid.toString()}`)).toEqual(
        expected,
      )
      const commit = readTextFixture('live-firehose/repo-commit.txt')
      expect(commit).toContain(`Data CID: ${repo.data.toString()}`)
      expect(commit).toContain(`Revision: ${repo.rev}`)
    }
  })

  it('reads the same blocks from any chunking', async () => {
    const bytes = readFixture('live-firehose/repo.car')
    const { blocks } = decodeCar(bytes)
    expect(blocks.size).toBeGreaterThan(23)
    for (const size of [1, 7, 100, 5000]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      )
      let count = 0
      for await (const { cid, bytes: block } of (await readCar(chunks)).blocks) {
        expect(blocks.get(cid)).toEqual(block)
        count++
      }
      expect(count).toBe(blocks.size)
    }
  })
})
