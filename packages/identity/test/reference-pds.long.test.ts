import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { openSqlitePlcStore, servePlcDirectory } from '../src/node/index.ts'
import { createPlcClient, verifyAuditLog } from '../src/plc/index.ts'
import { createPlcDirectory } from '../src/plc-directory/index.ts'

/** The reference PDS is installed with the benchmarks, which need it as a rival. */
const bench = fileURLToPath(new URL('../../../bench', import.meta.url))
const installed = existsSync(join(bench, 'node_modules/@atproto/pds'))
if (!installed)
  process.emitWarning('skipped: the reference PDS is not installed (run the benchmarks once)')

async function startReferencePds(
  plcUrl: string,
): Promise<AsyncDisposable & { readonly url: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'skywright-reference-pds-'))
  const child = spawn(process.execPath, ['reference-pds.ts', folder, plcUrl], {
    cwd: bench,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return {
    url: line.toString().trim(),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
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

describe.skipIf(!installed)('the reference PDS on our PLC directory', () => {
  it('creates accounts, changes handles, and leaves logs that verify', async () => {
    await using plc = await servePlcDirectory({
      directory: createPlcDirectory({ store: openSqlitePlcStore({ database: ':memory:' }) }),
    })
    await using pds = await startReferencePds(plc.url)
    const client = createPlcClient({ url: plc.url })
    for (let index = 0; index < 3; index++) {
      const account = await call(`${pds.url}/xrpc/com.atproto.server.createAccount`, undefined, {
        handle: `user${index}.test`,
        email: `user${index}@example.com`,
        password: 'a long password',
      })
      const did = account['did']!
      expect((await client.resolve(did)).alsoKnownAs).toEqual([`at://user${index}.test`])
      await call(`${pds.url}/xrpc/com.atproto.identity.updateHandle`, account['accessJwt'], {
        handle: `other${index}.test`,
      })
      const log = verifyAuditLog(did, await client.auditLog(did))
      expect(log.chain).toHaveLength(2)
      expect(log.data?.alsoKnownAs).toEqual([`at://other${index}.test`])
      expect(log.data?.services['atproto_pds']?.endpoint).toBe(pds.url)
    }
  }, 120_000)
})
