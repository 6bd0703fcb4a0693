import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { placeInDatabase, placeInFile } from './kill-place.ts'
import { killRepeatedly } from './kill-repeatedly.ts'
import { startPostgres } from './postgres-server.ts'
import type { TestServer } from './postgres-server.ts'

/** For each mode. */
const KILLS = { sqlite: 500, postgres: 500 }

describe('ends in the state of an undisturbed run, with the counters right after every kill', () => {
  let server: TestServer | undefined
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  it.each(['live', 'backfill'] as const)(
    `SQLite, ${KILLS.sqlite} times kill -9, %s`,
    async (mode) => {
      expect(await killRepeatedly(placeInFile, mode, KILLS.sqlite)).toBe(KILLS.sqlite)
    },
    3_600_000,
  )

  it.each(['live', 'backfill'] as const)(
    `Postgres, ${KILLS.postgres} times kill -9, %s`,
    async (mode) => {
      const running = server
      if (running === undefined) throw new TypeError('no server')
      expect(await killRepeatedly(() => placeInDatabase(running), mode, KILLS.postgres)).toBe(
        KILLS.postgres,
      )
    },
    3_600_000,
  )
})
