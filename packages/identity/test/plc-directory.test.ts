import { describe, expect, it } from 'vitest'
import { generatePrivateKey } from '../src/keys/index.ts'
import { openSqlitePlcStore } from '../src/node/index.ts'
import {
  DidDeactivatedError,
  DidNotFoundError,
  InvalidPlcOperationError,
  PlcRequestFailedError,
  createPlcClient,
  createPlcIdentity,
  createPlcTombstone,
  plcGenesisDid,
  plcOperationCid,
  signPlcOperation,
  updatePlcOperation,
  verifyAuditLog,
  verifyOperationLog,
} from '../src/plc/index.ts'
import type { PlcClient, PlcOperation } from '../src/plc/index.ts'
import { createMemoryPlcStore, createPlcDirectory } from '../src/plc-directory/index.ts'
import type { PlcDirectory, PlcDirectoryOptions, PlcStore } from '../src/plc-directory/index.ts'

const HOUR_MS = 3_600_000

function setUp(store: PlcStore, options: PlcDirectoryOptions = {}) {
  const clock = { ms: Date.parse('2026-01-01T00:00:00.000Z') }
  const directory = createPlcDirectory({ store, now: () => clock.ms, ...options })
  const client = clientOf(directory)
  const powerful = generatePrivateKey('k256')
  const rotation = generatePrivateKey('p256')
  const signing = generatePrivateKey('k256')
  const create = () =>
    createPlcIdentity({
      signingKey: signing.didKey,
      handle: 'alice.test',
      pds: 'https://pds.test',
      rotationKeys: [powerful.didKey, rotation.didKey],
      signer: rotation,
    })
  return { clock, directory, client, powerful, rotation, signing, create }
}

function clientOf(directory: PlcDirectory): PlcClient {
  const fetch: typeof globalThis.fetch = (input, init) => directory.fetch(new Request(input, init))
  return createPlcClient({ url: 'https://plc.test/', fetch })
}

describe('an operation', () => {
  it.each([
    [{ handle: 'alice' }, 'handle is not a handle'],
    [{ handle: 'at://alice.test' }, 'handle is not a handle'],
    [{ pds: 'pds.test' }, 'pds is not an http(s) origin'],
    [{ pds: '' }, 'pds is not an http(s) origin'],
    [{ pds: 'https://pds.test/path' }, 'pds is not an http(s) origin'],
    [{ signingKey: 'did:key:zabc' }, 'signing key is not a k256 or p256 did:key'],
    [{ signingKey: 'zQ3shok' }, 'signing key is not a k256 or p256 did:key'],
  ])('is not made of %j', async (wrong, reason) => {
    const { create, powerful, rotation, signing } = setUp(createMemoryPlcStore())
    const { operation } = await create()
    const right = { signingKey: signing.didKey, handle: 'alice.test', pds: 'http://localhost:2583' }
    const rotationKeys = [powerful.didKey, rotation.didKey]
    await createPlcIdentity({ ...right, rotationKeys, signer: rotation })
    for (const making of [
      createPlcIdentity({ ...right, ...wrong, rotationKeys, signer: rotation }),
      updatePlcOperation(operation, wrong, rotation),
    ]) {
      await expect(making).rejects.toMatchObject({ code: 'InvalidPlcOperation', reason })
    }
  })
})

describe.each([
  ['memory', () => createMemoryPlcStore()],
  ['sqlite', () => openSqlitePlcStore({ database: ':memory:' })],
])('PLC directory on %s', (_name, openStore) => {
  it('creates, updates, recovers, tombstones and undoes the tombstone', async () => {
    const { client, clock, create, powerful, rotation } = setUp(openStore())
    const { did, operation: genesis } = await create()
    await expect(client.resolve(did)).rejects.toThrow(DidNotFoundError)
    await client.submit(did, genesis)
    const document = await client.resolve(did)
    expect(document.alsoKnownAs).toEqual(['at://alice.test'])
    expect(document.service).toEqual([
      {
        id: '#atproto_pds',
        type: 'AtprotoPersonalDataServer',
        serviceEndpoint: 'https://pds.test',
      },
    ])

    const renamed = await updatePlcOperation(genesis, { handle: 'ali.test' }, rotation)
    await client.submit(did, renamed)
    expect((await client.data(did)).alsoKnownAs).toEqual(['at://ali.test'])
    expect(await client.lastOperation(did)).toEqual(renamed)

    const thief = generatePrivateKey('k256')
    const stolen = await updatePlcOperation(renamed, { rotationKeys: [thief.didKey] }, rotation)
    await client.submit(did, stolen)
    clock.ms += 71 * HOUR_MS
    const recovered = await updatePlcOperation(
      renamed,
      { rotationKeys: [powerful.didKey] },
      powerful,
    )
    await client.submit(did, recovered)
    expect((await client.data(did)).rotationKeys).toEqual([powerful.didKey])

    clock.ms += HOUR_MS
    await client.submit(did, await createPlcTombstone(recovered, powerful))
    await expect(client.resolve(did)).rejects.toThrow(DidDeactivatedError)
    await expect(client.data(did)).rejects.toThrow(DidDeactivatedError)

    const audit = await client.auditLog(did)
    expect(audit.map(({ nullified }) => nullified)).toEqual([false, false, true, false, false])
    const verified = verifyAuditLog(did, audit)
    expect(verified.data).toBeUndefined()
    expect(verifyOperationLog(did, await client.log(did))).toBeUndefined()
  })

  it('refuses recovery after 72 hours, by an equal key, and by a weaker one', async () => {
    const { client, clock, create, powerful, rotation } = setUp(openStore())
    const { did, operation: genesis } = await create()
    await client.submit(did, genesis)
    const byRotation = await updatePlcOperation(genesis, { handle: 'b.test' }, rotation)
    await client.submit(did, byRotation)
    clock.ms += 1000
    const equal = await updatePlcOperation(genesis, { handle: 'c.test' }, rotation)
    await expect(client.submit(did, equal)).rejects.toThrow(PlcRequestFailedError)
    const stronger = await updatePlcOperation(genesis, { handle: 'd.test' }, powerful)
    clock.ms += 72 * HOUR_MS
    await expect(client.submit(did, stronger)).rejects.toThrow('recovery window')
    clock.ms -= 1000
    await client.submit(did, stronger)
    clock.ms += 2000
    const weaker = await updatePlcOperation(genesis, { handle: 'e.test' }, rotation)
    await expect(client.submit(did, weaker)).rejects.toThrow(PlcRequestFailedError)
  })

  it('lets exactly one of many concurrent updates through', async () => {
    const { client, create, rotation } = setUp(openStore(), { rateLimits: false })
    const { did, operation: genesis } = await create()
    await client.submit(did, genesis)
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, index) => {
        await client.submit(
          did,
          await updatePlcOperation(genesis, { handle: `h${index}.test` }, rotation),
        )
      }),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(verifyAuditLog(did, await client.auditLog(did)).chain).toHaveLength(2)
  })

  it('limits operations per hour, day and week, but not recovery', async () => {
    const { client, clock, create, powerful, rotation } = setUp(openStore())
    const { did, operation: genesis } = await create()
    await client.submit(did, genesis)
    let last = genesis
    const update = async (index: number) => {
      const next = await updatePlcOperation(last, { handle: `h${index}.test` }, rotation)
      await client.submit(did, next)
      last = next
    }
    for (let index = 0; index < 9; index++) await update(index)
    const error: unknown = await update(9).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(PlcRequestFailedError)
    expect(error).toMatchObject({ status: 429, retryable: true })
    const { retryAfterMs } = error as PlcRequestFailedError
    expect(retryAfterMs).toBe(HOUR_MS)
    clock.ms += retryAfterMs! - 1000
    await expect(update(9)).rejects.toMatchObject({ status: 429, retryAfterMs: 1000 })
    clock.ms += 1000
    await update(10)
    clock.ms += 1000
    await client.submit(did, await updatePlcOperation(genesis, { handle: 'back.test' }, powerful))
    expect((await client.data(did)).alsoKnownAs).toEqual(['at://back.test'])
  })

  it('exports by seq and by time, in pages', async () => {
    const { client, clock, create, directory } = setUp(openStore())
    const dids: string[] = []
    for (let index = 0; index < 5; index++) {
      const { did, operation } = await createPlcIdentity({
        signingKey: generatePrivateKey('k256').didKey,
        handle: `user${index}.test`,
        pds: 'https://pds.test',
        ...keyPair(),
      })
      await client.submit(did, operation)
      dids.push(did)
      clock.ms += 10
    }
    void create
    const first = await client.exportPage({ after: 0, count: 3 })
    expect(first.map(({ did }) => did)).toEqual(dids.slice(0, 3))
    expect(first.map(({ seq, type }) => [seq, type])).toEqual(
      [1, 2, 3].map((seq) => [seq, 'sequenced_op']),
    )
    const second = await client.exportPage({ after: 3, count: 3 })
    expect(second.map(({ did }) => did)).toEqual(dids.slice(3))
    expect(await client.exportPage({ after: 5 })).toEqual([])
    const byTime = await client.exportPage({ count: 4 })
    expect(byTime.map(({ did }) => did)).toEqual(dids.slice(0, 4))
    expect(byTime[0]).toMatchObject({ nullified: false })
    expect(byTime[0]!.seq).toBeUndefined()
    const rest = await client.exportPage({ after: byTime[3]!.createdAt })
    expect(rest.map(({ did }) => did)).toEqual(dids.slice(4))
    for (const query of ['count=0', 'count=x', 'after=yesterday']) {
      const response = await directory.fetch(new Request(`https://plc.test/export?${query}`))
      expect(response.status, query).toBe(400)
    }
  })
})

describe.each([
  ['memory', () => createMemoryPlcStore()],
  ['sqlite', () => openSqlitePlcStore({ database: ':memory:' })],
])('PLC export by time on %s', (_name, openStore) => {
  const submitNew = async (client: PlcClient): Promise<string> => {
    const { did, operation } = await createPlcIdentity({
      signingKey: generatePrivateKey('k256').didKey,
      handle: 'user.test',
      pds: 'https://pds.test',
      ...keyPair(),
    })
    await client.submit(did, operation)
    return did
  }

  it('loses nothing between pages when many entries have one time', async () => {
    const { client, clock } = setUp(openStore())
    const dids: string[] = []
    for (let index = 0; index < 12; index++) {
      dids.push(await submitNew(client))
      if (index % 5 === 4) clock.ms += 1
    }
    const seen: string[] = []
    let after: string | undefined
    for (let page = 0; page < 12; page++) {
      const entries = await client.exportPage({
        count: 2,
        ...(after === undefined ? {} : { after }),
      })
      if (entries.length === 0) break
      seen.push(...entries.map(({ did }) => did))
      after = entries.at(-1)!.createdAt
    }
    expect(seen.toSorted()).toEqual(dids.toSorted())
  })

  it('gives no later entry the time of a page that was read, even when the clock goes back', async () => {
    const { client, clock } = setUp(openStore())
    await submitNew(client)
    const first = await client.exportPage()
    const same = await submitNew(client)
    const second = await client.exportPage({ after: first.at(-1)!.createdAt })
    expect(second.map(({ did }) => did)).toEqual([same])
    clock.ms -= 60_000
    const earlier = await submitNew(client)
    const third = await client.exportPage({ after: second.at(-1)!.createdAt })
    expect(third.map(({ did }) => did)).toEqual([earlier])
  })
})

describe('PLC directory', () => {
  it('refuses what the reference directory refuses', async () => {
    const { client, create, directory, rotation, signing } = setUp(createMemoryPlcStore())
    const { did, operation: genesis } = await create()
    const { sig: _sig, ...data } = genesis
    const bad: Record<string, object> = {
      'a body that is no object': ['x'],
      'an unknown field': { ...genesis, extra: 1 },
      'a service with an unknown field': {
        ...genesis,
        services: { x: { type: 'a', endpoint: 'b', c: 'd' } },
      },
      'no signature': data,
      'a wrong signature': { ...genesis, sig: `${'A'.repeat(20)}${genesis.sig.slice(20)}` },
      'a legacy create': {
        type: 'create',
        signingKey: signing.didKey,
        recoveryKey: rotation.didKey,
        handle: 'a.test',
        service: 'https://pds.test',
        prev: null,
        sig: genesis.sig,
      },
      'a rotation key of another curve': await signPlcOperation(
        {
          ...data,
          rotationKeys: [
            rotation.didKey,
            'did:key:z6MkjwbBXZnFqL8su24wGL2Fdjti6GSLv9SWdYGswfazUPm9',
          ],
        },
        rotation,
      ),
      'a verification method that is no did:key': await signPlcOperation(
        { ...data, verificationMethods: { atproto: 'did:banana' } },
        rotation,
      ),
      'a key that is far too long': await signPlcOperation(
        { ...data, verificationMethods: { atproto: `did:key:z${'1'.repeat(300)}` } },
        rotation,
      ),
      'eleven rotation keys': await signPlcOperation(
        {
          ...data,
          rotationKeys: [
            rotation.didKey,
            ...Array.from({ length: 10 }, () => generatePrivateKey('k256').didKey),
          ],
        },
        rotation,
      ),
      'a padded signature': { ...genesis, sig: `${genesis.sig}==` },
      'a high-S signature': { ...genesis, sig: highS(genesis.sig) },
      'no prev': { ...genesis, prev: undefined },
      'eleven aliases': await signPlcOperation(
        { ...data, alsoKnownAs: Array.from({ length: 11 }, (_, n) => `at://n${n}.test`) },
        rotation,
      ),
      'the same alias twice': await signPlcOperation(
        { ...data, alsoKnownAs: ['at://a.test', 'at://a.test'] },
        rotation,
      ),
      'more than 4000 bytes': await signPlcOperation(
        {
          ...data,
          services: Object.fromEntries(
            Array.from({ length: 10 }, (_, n) => [
              `s${n}`,
              { type: 'x', endpoint: 'y'.repeat(400) },
            ]),
          ),
        },
        rotation,
      ),
      'a genesis of another DID': await signPlcOperation({ ...data, alsoKnownAs: [] }, rotation),
    }
    const reasons: Readonly<Record<keyof typeof bad, string>> = {
      'a body that is no object': 'not an object',
      'an unknown field': 'unknown field',
      'a service with an unknown field': 'unknown field',
      'no signature': 'sig is not a string',
      'a wrong signature': 'not signed by a key',
      'a legacy create': 'no longer accepted',
      'a rotation key of another curve': 'not a k256 or p256',
      'a verification method that is no did:key': 'not a did:key',
      'a key that is far too long': 'not a did:key',
      'eleven rotation keys': 'more than 10 rotationKeys',
      'a padded signature': 'canonical base64url',
      'a high-S signature': 'not signed by a key',
      'no prev': 'prev is not a string',
      'eleven aliases': 'more than 10 alsoKnownAs',
      'the same alias twice': 'duplicate entry',
      'more than 4000 bytes': 'larger than 4000',
      'a genesis of another DID': 'does not hash to the DID',
    }
    for (const [what, body] of Object.entries(bad)) {
      // Each to the DID it hashes to, but for the last: the DID must not be what gives it away.
      const own =
        what === 'a genesis of another DID'
          ? did
          : plcGenesisDid(JSON.parse(JSON.stringify(body)) as PlcOperation)
      const response = await directory.fetch(
        new Request(`https://plc.test/${own}`, { method: 'POST', body: JSON.stringify(body) }),
      )
      expect(response.status, what).toBe(400)
      const { message } = (await response.json()) as { readonly message: string }
      expect(message, what).toContain(reasons[what])
    }
    expect(Object.keys(reasons)).toEqual(Object.keys(bad))
    await expect(client.resolve(did)).rejects.toThrow(DidNotFoundError)
    await client.submit(did, genesis)
    expect((await client.resolve(did)).id).toBe(did)
  })

  it('accepts verification methods of key types it does not know, and still answers the document', async () => {
    const { client, create, rotation } = setUp(createMemoryPlcStore())
    const { did, operation } = await create()
    await client.submit(did, operation)
    const atproto =
      'did:key:zUC7K4ndUaGZgV7Cp2yJy6JtMoUHY6u7tkcSYUvPrEidqBmLCTLmi6d5WvwnUqejscAkERJ3bfjEiSYtdPkRSE8kSa11hFBr4sTgnbZ95SJj19PN2jdvJjyzpSZgxkyyxNnBNnY'
    const change = { verificationMethods: { atproto } }
    await client.submit(did, await updatePlcOperation(operation, change, rotation))
    expect((await client.resolve(did)).verificationMethod).toEqual([
      {
        id: `${did}#atproto`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: atproto.slice(8),
      },
    ])
  })

  it('keeps maps that look like a CID link maps', async () => {
    const { client, create, rotation, signing } = setUp(createMemoryPlcStore())
    const { did, operation } = await create()
    await client.submit(did, operation)
    const key = signing.didKey
    const change = { verificationMethods: { '/': key, bytes: key } }
    await client.submit(did, await updatePlcOperation(operation, change, rotation))
    const { data } = verifyAuditLog(did, await client.auditLog(did))
    expect(data?.verificationMethods).toEqual(change.verificationMethods)
  })

  it('answers health, unknown routes, methods and bodies that are too large', async () => {
    const { directory, client } = setUp(createMemoryPlcStore())
    const status = async (path: string, init?: RequestInit) =>
      (await directory.fetch(new Request(`https://plc.test${path}`, init))).status
    expect(await client.isHealthy()).toBe(true)
    expect(await status('/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')).toBe(404)
    expect(await status('/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/nothing')).toBe(404)
    expect(await status('/%zz')).toBe(400)
    expect(await status('/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', { method: 'DELETE' })).toBe(405)
    expect(await status('/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', { method: 'POST', body: 'x' })).toBe(
      400,
    )
    expect(
      await status('/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', {
        method: 'POST',
        body: 'x'.repeat(200_000),
      }),
    ).toBe(413)
  })

  it('says 503 and tells its owner when the store fails', async () => {
    const errors: unknown[] = []
    const broken: PlcStore = {
      ...createMemoryPlcStore(),
      lastSeq: () => Promise.reject(new Error('disk gone')),
      entries: () => Promise.reject(new Error('disk gone')),
    }
    const directory = createPlcDirectory({ store: broken, onError: (error) => errors.push(error) })
    const health = await directory.fetch(new Request('https://plc.test/_health'))
    expect(health.status).toBe(503)
    const get = await directory.fetch(
      new Request('https://plc.test/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'),
    )
    expect(get.status).toBe(500)
    expect(await get.text()).not.toContain('disk')
    expect(errors).toHaveLength(2)
  })
})

describe('making operations', () => {
  it('refuses to make what directories would refuse', async () => {
    const { create, rotation } = setUp(createMemoryPlcStore())
    const { operation } = await create()
    const stranger = generatePrivateKey('k256')
    const refused = [
      updatePlcOperation(operation, { handle: 'x.test' }, stranger),
      updatePlcOperation(operation, { rotationKeys: [] }, rotation),
      updatePlcOperation(operation, { rotationKeys: [rotation.didKey, rotation.didKey] }, rotation),
      updatePlcOperation(
        operation,
        { rotationKeys: Array.from({ length: 6 }, () => generatePrivateKey('p256').didKey) },
        rotation,
      ),
      updatePlcOperation(operation, { handle: 'x'.repeat(300) }, rotation),
      createPlcTombstone(
        { type: 'plc_tombstone', prev: plcOperationCid(operation), sig: '' },
        rotation,
      ),
      signPlcOperation(
        { type: 'plc_tombstone', prev: plcOperationCid(operation) },
        { ...pick(rotation), sign: () => new Uint8Array(64) },
      ),
    ]
    for (const promise of refused) await expect(promise).rejects.toThrow(InvalidPlcOperationError)
    expect(refused).toHaveLength(7)
  })

  it('signs with a key held elsewhere', async () => {
    const { rotation } = setUp(createMemoryPlcStore())
    const remote = {
      ...pick(rotation),
      sign: async (bytes: Uint8Array) => Promise.resolve(rotation.sign(bytes)),
    }
    const { did, operation } = await createPlcIdentity({
      signingKey: rotation.didKey,
      handle: 'a.test',
      pds: 'https://pds.test',
      rotationKeys: [rotation.didKey],
      signer: remote,
    })
    expect(verifyOperationLog(did, [operation])?.rotationKeys).toEqual([rotation.didKey])
  })
})

/** The twin of a p256 signature that the protocol forbids. */
function highS(sig: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const bytes = Buffer.from(sig, 'base64url')
  const s = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  bytes.set(Buffer.from(s.toString(16).padStart(64, '0'), 'hex'), 32)
  return bytes.toString('base64url')
}

function keyPair() {
  const signer = generatePrivateKey('k256')
  return { rotationKeys: [signer.didKey], signer }
}

function pick({ curve, didKey, jwtAlg }: ReturnType<typeof generatePrivateKey>) {
  return { curve, didKey, jwtAlg }
}
