import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { createResolver } from '../src/index.ts'
import { generatePrivateKey } from '../src/keys/index.ts'
import { openSqlitePlcStore, servePlcDirectory } from '../src/node/index.ts'
import {
  DidNotFoundError,
  PlcRequestFailedError,
  createPlcClient,
  createPlcIdentity,
  createPlcTombstone,
  signPlcOperation,
  updatePlcOperation,
  verifyAuditLog,
} from '../src/plc/index.ts'
import type { AnyPlcOperation, PlcClient } from '../src/plc/index.ts'
import { createPlcDirectory } from '../src/plc-directory/index.ts'
import type { PlcDirectory } from '../src/plc-directory/index.ts'

const folder = fileURLToPath(new URL('../../../bench/dev-env', import.meta.url))
const installed = existsSync(join(folder, 'node_modules/@atproto/dev-env'))
if (!installed)
  process.emitWarning('skipped: run `pnpm install` in bench/dev-env for @atproto/dev-env')

async function startReference(
  ...args: readonly string[]
): Promise<AsyncDisposable & { readonly url: string }> {
  const child = spawn(process.execPath, ['start.ts', ...args], {
    cwd: folder,
    env: { ...process.env, LOG_ENABLED: 'false' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    url: line.toString().trim(),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function call(
  url: string,
  token: string | undefined,
  body: object,
): Promise<Record<string, string>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status} ${text}`)
  return (text === '' ? {} : JSON.parse(text)) as Record<string, string>
}

function createAccount(pds: string, handle: string): Promise<Record<string, string>> {
  return call(`${pds}/xrpc/com.atproto.server.createAccount`, undefined, {
    handle,
    email: `${handle}@example.com`,
    password: 'a long password',
  })
}

describe.skipIf(!installed)('the reference PDS on our PLC directory', () => {
  it('creates accounts, changes handles, and leaves logs that verify', async () => {
    using store = openSqlitePlcStore({ database: ':memory:' })
    await using plc = await servePlcDirectory({ directory: createPlcDirectory({ store }) })
    await using pds = await startReference('pds', plc.url)
    const client = createPlcClient({ url: plc.url })
    const resolver = createResolver({ plcUrl: plc.url, dev: true })
    const keys = new Set<string>()
    for (let index = 0; index < 5; index++) {
      const account = await createAccount(pds.url, `user${index}.test`)
      const did = account['did']!
      expect((await client.resolve(did)).alsoKnownAs).toEqual([`at://user${index}.test`])
      await call(`${pds.url}/xrpc/com.atproto.identity.updateHandle`, account['accessJwt'], {
        handle: `other${index}.test`,
      })
      const log = verifyAuditLog(did, await client.auditLog(did))
      expect(log.chain).toHaveLength(2)
      expect(log.data?.alsoKnownAs).toEqual([`at://other${index}.test`])
      const resolved = await resolver.resolveDid(did)
      expect(resolved.pds).toBe(pds.url)
      keys.add(resolved.signingKey!.didKey)
    }
    expect(keys.size).toBe(5)
    expect(await store.lastSeq()).toBe(10)
  }, 120_000)

  it('creates no account when the directory refuses, and none that resolves when it forgets', async () => {
    let submitted = 0
    const serve = (answer: () => Response) => {
      const sound = createPlcDirectory()
      const fetch: PlcDirectory['fetch'] = (request) => {
        if (request.method !== 'POST') return sound.fetch(request)
        submitted++
        return Promise.resolve(answer())
      }
      return servePlcDirectory({ directory: { ...sound, fetch } })
    }
    await using refusing = await serve(() => Response.json({ message: 'no' }, { status: 400 }))
    await using first = await startReference('pds', refusing.url)
    await expect(createAccount(first.url, 'alice.test')).rejects.toThrow(/^[45]00 /)
    await using forgetting = await serve(() => new Response('OK'))
    await using second = await startReference('pds', forgetting.url)
    const account = await createAccount(second.url, 'alice.test')
    const client = createPlcClient({ url: forgetting.url })
    await expect(client.resolve(account['did']!)).rejects.toThrow(DidNotFoundError)
    expect(submitted).toBe(2)
  }, 120_000)
})

describe.skipIf(!installed)('the reference PLC directory beside ours', () => {
  // But for padded signatures and more than 4,000 bytes: the version in dev-env takes both, against the specification.
  it('accepts and refuses the same operations, and ends in the same state', async () => {
    await using theirs = await startReference('plc')
    await using ours = await servePlcDirectory({
      directory: createPlcDirectory({ rateLimits: false }),
    })
    const clients = [theirs.url, ours.url].map((url) => createPlcClient({ url }))
    const verdicts = { accepted: 0, refused: 0 }
    for (let round = 0; round < 25; round++) {
      const keys = [0, 1, 2].map((n) => generatePrivateKey(n === 1 ? 'p256' : 'k256'))
      const [strong, middle, weak] = keys as [Key, Key, Key]
      const { did, operation: genesis } = await createPlcIdentity({
        signingKey: weak.didKey,
        handle: `user${round}.example.com`,
        pds: 'https://pds.example.com',
        rotationKeys: keys.map(({ didKey }) => didKey),
        signer: middle,
      })
      const submit = async (operation: AnyPlcOperation, what: string): Promise<void> => {
        const [reference, mine] = await Promise.all(
          clients.map((client) => isAccepted(client, did, operation)),
        )
        expect(mine, what).toBe(reference)
        verdicts[mine === true ? 'accepted' : 'refused']++
      }
      const second = await updatePlcOperation(genesis, { handle: 'b.example.com' }, middle)
      const third = await updatePlcOperation(second, { handle: 'c.example.com' }, weak)
      const { sig: _sig, ...unsigned } = third
      await submit(second, 'an update before the genesis')
      await submit(genesis, 'the genesis')
      await submit(genesis, 'the genesis again')
      await submit(second, 'an update')
      await submit({ ...third, sig: second.sig }, 'a signature of another operation')
      await submit(third, 'an update by the weakest key')
      await submit(
        await signPlcOperation({ ...unsigned, handle: 'x' } as typeof unsigned, weak),
        'an unknown field',
      )
      await submit(
        await updatePlcOperation(genesis, { pds: 'https://x.com' }, weak),
        'a weaker key',
      )
      await submit(
        await updatePlcOperation(genesis, { pds: 'https://x.com' }, middle),
        'the same key',
      )
      const recovered = await updatePlcOperation(genesis, { handle: 'd.example.com' }, strong)
      await submit(recovered, 'a recovery')
      await submit(
        await updatePlcOperation(third, { handle: 'e.example.com' }, strong),
        'after what was undone',
      )
      const tooMany = Array.from({ length: 11 }, () => generatePrivateKey('k256').didKey)
      const next = await updatePlcOperation(recovered, {}, strong)
      const { sig: _old, ...nextData } = next
      await submit(
        await signPlcOperation({ ...nextData, rotationKeys: tooMany }, strong),
        'eleven keys',
      )
      if (round % 2 === 0) {
        await submit(await createPlcTombstone(recovered, weak), 'a tombstone')
        await submit(
          await updatePlcOperation(recovered, { handle: 'f.example.com' }, weak),
          'after a tombstone',
        )
      }
      const logs = await Promise.all(clients.map((client) => client.auditLog(did)))
      const [reference, mine] = logs.map((log) => {
        const { chain, entries, data } = verifyAuditLog(did, log)
        return {
          data,
          chain: chain.map(({ cid }) => cid),
          entries: entries.map(({ cid, nullified }) => [cid, nullified]),
        }
      })
      expect(mine).toEqual(reference)
    }
    expect(verdicts.accepted).toBeGreaterThan(100)
    expect(verdicts.refused).toBeGreaterThan(200)
  }, 120_000)
})

type Key = ReturnType<typeof generatePrivateKey>

async function isAccepted(
  client: PlcClient,
  did: string,
  operation: AnyPlcOperation,
): Promise<boolean> {
  try {
    await client.submit(did, operation)
    return true
  } catch (error) {
    // A failure is not a verdict.
    if (error instanceof PlcRequestFailedError && (error.status ?? 500) < 500) return false
    throw error
  }
}
