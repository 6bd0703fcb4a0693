import { mkdtempSync, rmSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { checkKills, MAIN } from './support/process.ts'

const KILLS = 8

describe('a relay process', () => {
  it(`loses and doubles nothing over ${String(KILLS)} kills`, { timeout: 120_000 }, async () => {
    await checkKills(KILLS)
  })

  it('does not start on a bad configuration, and says everything that is wrong with it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'relay-config-'))
    const child = spawn(process.execPath, ['--conditions=@skywright/source', MAIN], {
      env: {
        PATH: process.env['PATH'] ?? '',
        RELAY_PORT: 'x',
        RELAY_ADMIN_PASSWORD: 'short',
        RELAY_DATA_DIRECTORY: directory,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const [[code], message] = await Promise.all([once(child, 'exit'), text(child.stderr)])
    rmSync(directory, { recursive: true })
    expect(code).toBe(1)
    expect(message).toBe(
      'the configuration has 2 problems:\n' +
        '  - RELAY_ADMIN_PASSWORD must have at least 12 characters; it has 5\n' +
        '  - RELAY_PORT must be a number from 0 to 65535; it is "x"\n',
    )
  })
})
