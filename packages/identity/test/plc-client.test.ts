import { describe, expect, it } from 'vitest'
import { createResolver } from '../src/index.ts'
import { PlcRequestFailedError, createPlcClient } from '../src/plc/index.ts'
import type { PlcClient } from '../src/plc/index.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const NOW_MS = Date.parse('2026-01-01T00:00:00Z')
const DAY_MS = 86_400_000

function clientOf(status: number, retryAfter: string | undefined): PlcClient {
  const headers = new Headers(retryAfter === undefined ? {} : { 'retry-after': retryAfter })
  return createPlcClient({
    now: () => NOW_MS,
    fetch: () => Promise.resolve(Response.json({ message: 'later' }, { status, headers })),
  })
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const error: unknown = await work.catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(PlcRequestFailedError)
  return error
}

describe('retryAfterMs of a PLC request that failed', () => {
  it.each<[string | undefined, number | undefined]>([
    ['0', 0],
    ['7', 7000],
    [' 120 ', 120_000],
    ['86400', DAY_MS],
    ['86401', DAY_MS],
    ['9'.repeat(400), DAY_MS],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Thursday, 01-Jan-26 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
    ['Fri, 01 Jan 2027 00:00:00 GMT', DAY_MS],
    [undefined, undefined],
    ['', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    ['soon', undefined],
    ['in 5', undefined],
    ['Thu, 99 Foo 2026', undefined],
  ])('of %j is %j', async (header, expected) => {
    for (const status of [429, 503]) {
      const client = clientOf(status, header)
      for (const work of [client.resolve(DID), client.exportPage()]) {
        expect(await failureOf(work)).toMatchObject({
          status,
          retryable: true,
          retryAfterMs: expected,
        })
      }
    }
  })

  it('is not told with a refusal that no waiting helps', async () => {
    expect(await failureOf(clientOf(400, '7').data(DID))).toMatchObject({
      status: 400,
      retryable: false,
      retryAfterMs: undefined,
    })
  })

  it('reaches who resolves, in the cause', async () => {
    const resolver = createResolver({
      now: () => NOW_MS,
      fetch: () =>
        Promise.resolve(
          new Response('', {
            status: 429,
            headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' },
          }),
        ),
    })
    await expect(resolver.resolveDid(DID)).rejects.toMatchObject({
      code: 'ResolutionFailed',
      family: 'CouldNotAsk',
      retryable: true,
      cause: { code: 'PlcRequestFailed', retryAfterMs: 30_000 },
    })
  })
})
