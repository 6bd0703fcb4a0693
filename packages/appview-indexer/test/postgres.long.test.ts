import { expect, it } from 'vitest'

import { startPostgres } from './postgres-server.ts'
import { killShards } from './postgres-shards.ts'

it.each(['live', 'backfill'] as const)(
  'ends in the state of an undisturbed run after two of four processes were killed 20 times, %s',
  async (mode) => {
    await using server = await startPostgres()
    expect(await killShards(server, mode, 4, 20)).toBeGreaterThan(20)
  },
  3_600_000,
)
