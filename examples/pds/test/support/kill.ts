import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { decodeEvent, type CommitEvent, type LogEntry } from '@skywright/firehose'
import { openSqliteEventLog } from '@skywright/firehose/sqlite'
import { createMemoryPlcStore, createPlcDirectory } from '@skywright/identity/plc-directory'
import { openSqliteRepoStore } from '@skywright/repo/sqlite'
import { expect } from 'vitest'
import { openDatabase } from '../../src/database.ts'
import { call, PASSWORD, temporaryFolder } from '../harness.ts'

const COLLECTION = 'com.example.counter'
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** What every life of the killed server shares: a directory, and the folder its data is in. */
export interface Scene extends AsyncDisposable {
  readonly plcUrl: string
  readonly path: string
}

export async function setScene(): Promise<Scene> {
  const directory = createPlcDirectory({ store: createMemoryPlcStore() })
  const plc = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = 'GET', url = '/' } = request
      const body = method === 'POST' ? { body: Buffer.concat(chunks) } : {}
      const headers = { 'content-type': 'application/json' }
      void directory
        .fetch(new Request(`${plcUrl}${url}`, { method, headers, ...body }))
        .then(async (answer) => response.writeHead(answer.status).end(await answer.text()))
    })
  })
  plc.listen(0, '127.0.0.1')
  await once(plc, 'listening')
  const plcUrl = `http://127.0.0.1:${(plc.address() as AddressInfo).port}`
  const folder = await temporaryFolder()
  return {
    plcUrl,
    path: folder.path,
    async [Symbol.asyncDispose]() {
      plc.closeAllConnections()
      plc.close()
      await folder[Symbol.asyncDispose]()
    },
  }
}

export async function start({
  plcUrl,
  path,
}: Scene): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, ['--conditions=@skywright/source', MAIN], {
    env: {
      PATH: process.env['PATH'] ?? '',
      PDS_DEV: 'true',
      PDS_PORT: '0',
      // The audience of tokens, which so outlive a restart on another port.
      PDS_PUBLIC_URL: 'http://pds.test',
      PDS_PLC_URL: plcUrl,
      PDS_DATA_DIRECTORY: path,
      PDS_HANDLE_DOMAINS: '.test',
      PDS_LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, url: `http://localhost:${(JSON.parse(line) as { port: number }).port}` }
  }
  throw new Error('the server ended before it listened')
}

/** What the database holds after a kill, read without the server. */
async function inspect(path: string): Promise<{
  heads: Map<string, string>
  events: Map<string, CommitEvent>
  seqs: number[]
  records: Map<string, Set<string>>
}> {
  const database = openDatabase(path)
  try {
    await using log = openSqliteEventLog({ database })
    const store = openSqliteRepoStore({ database })
    const events = new Map<string, CommitEvent>()
    const seqs: number[] = []
    let page: readonly LogEntry[] = []
    let after = 0
    do {
      page = await log.read(after)
      for (const { seq, frame } of page) {
        const event = decodeEvent(frame)
        seqs.push(seq)
        after = seq
        if (event.type === 'commit') {
          // The chain of events is whole: each follows the one before it.
          expect(event.since).toBe(events.get(event.did)?.rev ?? null)
          events.set(event.did, event)
        }
      }
    } while (page.length > 0)
    const heads = new Map<string, string>()
    const records = new Map<string, Set<string>>()
    for (const head of await store.listHeads()) {
      heads.set(head.did, `${head.rev} ${head.commit.toString()}`)
      const listed = await store.listRecords(head.did, COLLECTION, { limit: 100_000 })
      records.set(head.did, new Set(listed.map(({ rkey }) => rkey)))
    }
    return { heads, events, seqs, records }
  } finally {
    database.close()
  }
}

/** Kills a server while it writes, and compares what it acknowledged with what is on its disk, that many times. */
export async function checkKills(scene: Scene, kills: number, accounts: number): Promise<void> {
  const tokens = new Map<string, string>()
  const acknowledged = new Map<string, Set<string>>()
  const first = await start(scene)
  for (let i = 0; i < accounts; i++) {
    const answer = await call(first.url, 'com.atproto.server.createAccount', {
      json: { handle: `writer${i}.test`, password: PASSWORD },
    })
    const { did, accessJwt } = answer.body as { did: string; accessJwt: string }
    tokens.set(did, accessJwt)
    acknowledged.set(did, new Set())
  }
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')

  let writes = 0
  let interrupted = 0
  for (let kill = 0; kill < kills; kill++) {
    const { child, url } = await start(scene)
    const enough = Promise.withResolvers<void>()
    // Killed in the middle of everything: after a random number of answers.
    let left = 1 + Math.floor(Math.random() * 40)
    const writers = [...acknowledged.keys()].flatMap((did) =>
      [0, 1].map(async (lane) => {
        for (let i = 0; ; i++) {
          const rkey = `k${kill}-${lane}-${i}`
          try {
            const answer = await call(url, 'com.atproto.repo.createRecord', {
              token: tokens.get(did) ?? '',
              json: { repo: did, collection: COLLECTION, rkey, record: { i } },
            })
            expect(answer.status).toBe(200)
            acknowledged.get(did)?.add(rkey)
            writes++
            if (--left <= 0) enough.resolve()
          } catch (error) {
            if (!(error instanceof TypeError)) throw error
            interrupted++
            return
          }
        }
      }),
    )
    await enough.promise
    child.kill('SIGKILL')
    await Promise.all([once(child, 'exit'), ...writers])

    const { heads, events, seqs, records } = await inspect(scene.path)
    expect(seqs).toEqual([...new Set(seqs)].toSorted((a, b) => a - b))
    for (const [did, rkeys] of acknowledged) {
      const event = events.get(did)
      expect(`${event?.rev} ${event?.commit.toString()}`).toBe(heads.get(did))
      const found = records.get(did) ?? new Set()
      expect([...rkeys].filter((rkey) => !found.has(rkey))).toEqual([])
    }
  }
  expect(interrupted).toBe(kills * accounts * 2)
  expect(writes).toBeGreaterThan(kills)
}
