import { P256Keypair, Secp256k1Keypair } from '@atproto/crypto'
import * as plc from '@did-plc/lib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generatePrivateKey, importPrivateKey } from '../src/keys/index.ts'
import { openSqlitePlcStore, servePlcDirectory } from '../src/node/index.ts'
import type { PlcServer } from '../src/node/index.ts'
import {
  createPlcClient,
  createPlcIdentity,
  createPlcTombstone,
  parsePlcOperation,
  plcDidDocument,
  plcGenesisDid,
  plcOperationCid,
  updatePlcOperation,
  verifyAuditLog,
  verifyNextPlcOperation,
  verifyOperationLog,
} from '../src/plc/index.ts'
import type { LegacyPlcCreate, PlcOperation } from '../src/plc/index.ts'
import { createPlcDirectory } from '../src/plc-directory/index.ts'

/** The reference library names its keys by an older version of the same interface. */
type TheirKey = Parameters<typeof plc.signOperation>[1]

describe('beside @did-plc/lib', () => {
  let server: PlcServer
  let theirs: plc.Client
  beforeAll(async () => {
    const directory = createPlcDirectory({
      store: openSqlitePlcStore({ database: ':memory:' }),
      rateLimits: false,
    })
    server = await servePlcDirectory({ directory })
    theirs = new plc.Client(server.url)
  })
  afterAll(() => server[Symbol.asyncDispose]())

  it('makes the same DIDs, CIDs and signatures', async () => {
    let compared = 0
    for (const curve of ['k256', 'p256'] as const) {
      for (let round = 0; round < 10; round++) {
        const ours = generatePrivateKey(curve)
        const Keypair = curve === 'k256' ? Secp256k1Keypair : P256Keypair
        const their: TheirKey = await Keypair.import(ours.export())
        const options = {
          signingKey: generatePrivateKey('p256').didKey,
          handle: `user${round}.example.com`,
          pds: 'https://pds.example.com',
          rotationKeys: [ours.didKey, generatePrivateKey('k256').didKey],
        }
        const mine = await createPlcIdentity({ ...options, signer: ours })
        const reference = await plc.createOp({ ...options, signer: their })
        expect(mine).toEqual({ did: reference.did, operation: reference.op })
        const { cid } = await plc.getLastOpWithCid([reference.op])
        expect(plcOperationCid(mine.operation)).toBe(cid.toString())
        const update = await updatePlcOperation(
          mine.operation,
          { handle: 'new.example.com', pds: 'https://two.example.com' },
          ours,
        )
        const theirUpdate = await plc.updatePdsOp(reference.op, their, 'https://two.example.com')
        expect(update.prev).toBe(theirUpdate.prev)
        expect(plcOperationCid(theirUpdate)).not.toBe(plcOperationCid(update))
        const tombstone = await createPlcTombstone(mine.operation, ours)
        expect(tombstone).toEqual(await plc.tombstoneOp(cid, their))
        expect(await plc.validateOperationLog(mine.did, [mine.operation, update] as never)).toEqual(
          {
            did: mine.did,
            ...verifyOperationLog(mine.did, [reference.op, update]),
          },
        )
        const data = { did: mine.did, ...verifyOperationLog(mine.did, [mine.operation])! }
        const document = plc.formatDidDoc(data as never)
        expect({ ...plcDidDocument(data), '@context': 0 }).toMatchObject({
          id: document.id,
          alsoKnownAs: document.alsoKnownAs,
          service: document.service,
        })
        compared++
      }
    }
    expect(compared).toBe(20)
  })

  it('reads the legacy create as they do', async () => {
    const key = generatePrivateKey('k256')
    const recovery = generatePrivateKey('p256')
    const their: TheirKey = await Secp256k1Keypair.import(key.export())
    const legacy = await plc.deprecatedSignCreate(
      {
        type: 'create',
        signingKey: key.didKey,
        recoveryKey: recovery.didKey,
        handle: 'old.example.com',
        service: 'pds.example.com',
        prev: null,
      },
      their,
    )
    const did = await plc.didForCreateOp(legacy)
    expect(plcGenesisDid(legacy as LegacyPlcCreate)).toBe(did)
    const update = await updatePlcOperation(
      parsePlcOperation(legacy),
      { handle: 'new.example.com' },
      recovery,
    )
    const log = [legacy, update]
    expect(await plc.validateOperationLog(did, log as never)).toEqual({
      did,
      ...verifyOperationLog(did, log),
    })
  })

  it('serves their client: create, read, update, recover, tombstone, export', async () => {
    const rotation1: TheirKey = await P256Keypair.create()
    const rotation2: TheirKey = await Secp256k1Keypair.create()
    const signing = await Secp256k1Keypair.create()
    const did = await theirs.createDid({
      signingKey: signing.did(),
      rotationKeys: [rotation1.did(), rotation2.did()],
      handle: 'alice.example.com',
      pds: 'pds.example.com',
      signer: rotation2,
    })
    expect((await theirs.getDocumentData(did)).services['atproto_pds']?.endpoint).toBe(
      'https://pds.example.com',
    )
    const newSigning = await P256Keypair.create()
    await theirs.updateAtprotoKey(did, rotation2, newSigning.did())
    await theirs.updateHandle(did, rotation2, 'ali.example.com')
    await theirs.updatePds(did, rotation1, 'https://other.example.com')
    const log = await theirs.getOperationLog(did)
    expect(log).toHaveLength(4)
    expect(await plc.validateOperationLog(did, log)).toEqual(await theirs.getDocumentData(did))

    const thief = await P256Keypair.create()
    await theirs.updateRotationKeys(did, rotation2, [thief.did()])
    const before = (await theirs.getOperationLog(did)).at(-2) as plc.Operation
    await theirs.sendOperation(
      did,
      await plc.updateRotationKeysOp(before, rotation1, [rotation1.did()]),
    )
    expect((await theirs.getDocumentData(did)).rotationKeys).toEqual([rotation1.did()])
    const audit = await theirs.getAuditableLog(did)
    expect(audit.map(({ nullified }) => nullified)).toEqual([
      false,
      false,
      false,
      false,
      true,
      false,
    ])
    expect(verifyAuditLog(did, audit).chain).toHaveLength(5)

    const document = await theirs.getDocument(did)
    expect(document.alsoKnownAs).toEqual(['at://ali.example.com'])
    expect(await theirs.getLastOp(did)).toEqual(audit.at(-1)?.operation)
    await theirs.tombstone(did, rotation1)
    await expect(theirs.getDocument(did)).rejects.toMatchObject({ status: 410 })
    await expect(theirs.getDocument('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')).rejects.toMatchObject({
      status: 404,
    })
    await expect(theirs.health()).resolves.toEqual({ version: '0.0.0' })
    const exported = await theirs.export()
    expect(exported.map(({ did: each }) => each)).toEqual(exported.map(() => did))
    expect(exported).toHaveLength(7)
  })

  it('resolves races into one history', async () => {
    const rotation: TheirKey = await Secp256k1Keypair.create()
    const did = await theirs.createDid({
      signingKey: rotation.did(),
      rotationKeys: [rotation.did()],
      handle: 'race.example.com',
      pds: 'https://pds.example.com',
      signer: rotation,
    })
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, async () => {
        await theirs.updateAtprotoKey(did, rotation, (await P256Keypair.create()).did())
      }),
    )
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(1)
    const log = await createPlcClient({ url: server.url }).log(did)
    verifyOperationLog(did, log)
    await plc.validateOperationLog(did, log as never)
  })

  it('agrees on which next operations are valid', async () => {
    const keys = [1, 2, 3].map((n) =>
      importPrivateKey(
        n === 2 ? 'p256' : 'k256',
        Uint8Array.from({ length: 32 }, () => n),
      ),
    )
    const [strong, middle, weak] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]]
    const { did, operation: genesis } = await createPlcIdentity({
      signingKey: weak!.didKey,
      handle: 'a.example.com',
      pds: 'https://pds.example.com',
      rotationKeys: keys.map(({ didKey }) => didKey),
      signer: middle!,
    })
    const second = await updatePlcOperation(genesis, { handle: 'b.example.com' }, middle!)
    const third = await updatePlcOperation(second, { handle: 'c.example.com' }, weak!)
    const chain = [genesis, second, third].map((operation, index) => ({
      operation,
      cid: plcOperationCid(operation),
      createdAtMs: Date.now() - 3_600_000 + index,
    }))
    const { CID } = await import('multiformats/cid')
    const indexed = chain.map(({ operation, cid, createdAtMs }) => ({
      did,
      operation,
      cid: CID.parse(cid),
      nullified: false,
      createdAt: new Date(createdAtMs),
    }))
    const candidates: PlcOperation[] = []
    for (const base of [genesis, second, third]) {
      for (const signer of [strong!, middle!, weak!]) {
        candidates.push(await updatePlcOperation(base, { pds: 'https://new.example.com' }, signer))
      }
    }
    candidates.push(
      { ...candidates[0]!, sig: candidates[1]!.sig },
      { ...candidates[0]!, prev: null },
    )
    const verdicts = { valid: 0, invalid: 0 }
    for (const candidate of candidates) {
      const nullifiedByThem = await plc
        .assureValidNextOp(did, indexed as never, candidate as never)
        .then(
          ({ nullified }) => nullified.map(String),
          () => undefined,
        )
      let nullifiedByUs: readonly string[] | undefined
      try {
        nullifiedByUs = verifyNextPlcOperation(did, chain, candidate, Date.now()).nullified
      } catch {
        nullifiedByUs = undefined
      }
      expect(nullifiedByUs).toEqual(nullifiedByThem)
      verdicts[nullifiedByUs === undefined ? 'invalid' : 'valid']++
    }
    expect(verdicts.valid).toBeGreaterThan(4)
    expect(verdicts.invalid).toBeGreaterThan(3)
  })
})
