import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { call } from './harness.ts'
import { checkKills, type Scene, setScene, start } from './support/kill.ts'

const KILLS = 10
const ACCOUNTS = 3

let scene: Scene

beforeAll(async () => {
  scene = await setScene()
})
afterAll(async () => scene[Symbol.asyncDispose]())

describe('a server that is killed while it writes', () => {
  // Hundreds of kills are in kill.long.test.ts.
  it(
    `has lost nothing it acknowledged, and no event without its commit, ${KILLS} times over`,
    { timeout: 120_000 },
    async () => {
      expect.hasAssertions()
      await checkKills(scene, KILLS, ACCOUNTS)
    },
  )

  it('stops cleanly when asked, and keeps sign-ups whole', async () => {
    const { child, url } = await start(scene)
    const listed = await call(url, 'com.atproto.sync.listRepos')
    expect((listed.body as { repos: unknown[] }).repos).toHaveLength(ACCOUNTS)
    const socket = new WebSocket(
      `${url.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos`,
    )
    await once(socket, 'open')
    const closed = once(socket, 'close')
    child.kill('SIGTERM')
    const [code] = (await once(child, 'exit')) as [number | null]
    expect(code).toBe(0)
    await closed
    const { mode } = await stat(join(scene.path, 'pds.sqlite'))
    expect(mode & 0o077).toBe(0)
  })
})
