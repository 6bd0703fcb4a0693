import { afterAll, beforeAll, describe, it } from 'vitest'

import { indexStoreCases } from '../src/testing/index.ts'
import { startPostgres } from './postgres-server.ts'
import type { TestServer } from './postgres-server.ts'

describe('the Postgres store', () => {
  let server: TestServer | undefined
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  for (const { name, run } of indexStoreCases(() => {
    if (server === undefined) throw new TypeError('no server')
    return server.database()
  }))
    it(name, run)
})
