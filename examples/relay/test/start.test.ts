import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { closeServer } from '@skywright/xrpc/node'
import { expect, it } from 'vitest'
import { readConfig, startRelay, startReplica } from '../src/index.ts'
import { listen } from '../src/listen.ts'

it('a relay or replica that cannot start says why, and leaves nothing open', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'relay-start-'))
  const other = createServer()
  const { port, url } = await listen(other, { port: 0, bindAddress: '127.0.0.1' })
  const config = { ...readConfig({}), port, dataDirectory: directory, logLevel: 'silent' } as const
  for (let n = 0; n < 2; n++) {
    await expect(startRelay(config)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    const replica = { ...config, upstream: url, dataDirectory: join(directory, 'replica') }
    await expect(startReplica(replica)).rejects.toMatchObject({ code: 'EADDRINUSE' })
  }
  await closeServer(other)
  rmSync(directory, { recursive: true })
})
