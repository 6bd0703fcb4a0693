import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { startFakeHost } from './support/host.ts'
import { startFakePlc } from './support/plc.ts'
import { end, startProcess } from './support/process.ts'

it('a relay logs lines of JSON in which hostname is the host that a line is about', async () => {
  await using plc = await startFakePlc()
  await using host = await startFakeHost({ plc })
  const directory = mkdtempSync(join(tmpdir(), 'relay-log-'))
  const { child, url, lines } = await startProcess({
    RELAY_PORT: '0',
    RELAY_DATA_DIRECTORY: directory,
    RELAY_DEVELOPMENT: 'true',
    RELAY_PLC_URL: plc.url,
    RELAY_ADMIN_PASSWORD: 'never to be seen',
  })
  const { hostname } = host
  const response = await fetch(`${url}/xrpc/com.atproto.sync.requestCrawl`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ hostname }),
  })
  expect(response.status).toBe(200)
  expect(await end(child, 'SIGTERM')).toBe(0)
  rmSync(directory, { recursive: true })
  const rest = lines.filter((line) => line !== `relay listening on ${url}`)
  expect(rest).toHaveLength(lines.length - 1)
  const entries = rest.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(entries.map(({ msg }) => msg)).toEqual(
    expect.arrayContaining(['relay started', 'host connection', 'relay stopped']),
  )
  expect(entries.find(({ msg }) => msg === 'host connection')).toMatchObject({ hostname })
  for (const line of rest) {
    // Twice the same name in one object is read differently by everybody.
    expect(line.split('"hostname"').length).toBeLessThanOrEqual(2)
    expect(line).not.toContain('never to be seen')
  }
})
