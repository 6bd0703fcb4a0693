import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  IdentityError,
  InvalidDidDocumentError,
  InvalidKeyError,
  InvalidPlcLogError,
  InvalidPlcOperationError,
  getHandle,
  getPdsEndpoint,
  getSigningKey,
  isPublicAddress,
  parseDid,
  parseDidDocument,
  parseHandle,
} from '../src/index.ts'
import { parseTxtData } from '../src/handle/doh.ts'
import { generatePrivateKey, parsePublicKey } from '../src/keys/index.ts'
import { createPlcDirectory } from '../src/plc-directory/index.ts'
import {
  createPlcIdentity,
  parsePlcOperation,
  plcOperationCid,
  updatePlcOperation,
  verifyAuditLog,
} from '../src/plc/index.ts'
import type { AnyPlcOperation } from '../src/plc/index.ts'

const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
const RUNS = { numRuns: 500 }

/** Runs and answers whether it was accepted; anything but the allowed errors fails the test. */
function attempt(
  work: () => unknown,
  ...allowed: readonly (abstract new (...args: never[]) => Error)[]
): boolean {
  try {
    work()
    return true
  } catch (error) {
    expect(
      allowed.some((each) => error instanceof each),
      String(error),
    ).toBe(true)
    return false
  }
}

function cidOf(operation: unknown): string {
  try {
    return plcOperationCid(operation as AnyPlcOperation)
  } catch {
    return 'x'
  }
}

describe('garbage throws only our errors', () => {
  it('identifiers and addresses', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string().map((s) => `did:plc:${s}`),
      fc.string().map((s) => `did:web:${s}`),
      fc.webUrl(),
    )
    fc.assert(
      fc.property(text, (value) => {
        attempt(() => parseDid(value), IdentityError)
        attempt(() => parseDid(value, { dev: true }), IdentityError)
        attempt(() => parseHandle(value), IdentityError)
        expect(typeof isPublicAddress(value)).toBe('boolean')
        expect(Array.isArray(parseTxtData(value))).toBe(true)
      }),
      RUNS,
    )
  })

  it('keys', () => {
    fc.assert(
      fc.property(
        fc.string().map((s) => `did:key:z${s}`),
        (value) => {
          expect(attempt(() => parsePublicKey(value), InvalidKeyError)).toBe(false)
        },
      ),
      RUNS,
    )
    const key = generatePrivateKey('p256').publicKey
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.uint8Array({ maxLength: 100 }),
        (message, signature) => {
          expect(key.verify(message, signature)).toBe(false)
        },
      ),
      RUNS,
    )
  })

  it('DID documents', () => {
    const document = fc.record({
      id: fc.oneof(fc.constant(DID), fc.anything()),
      alsoKnownAs: fc.oneof(fc.array(fc.string()), fc.anything()),
      verificationMethod: fc.oneof(
        fc.array(
          fc.record({
            id: fc.oneof(fc.constant('#atproto'), fc.anything()),
            type: fc.oneof(fc.constant('Multikey'), fc.anything()),
            controller: fc.oneof(fc.constant(DID), fc.anything()),
            publicKeyMultibase: fc.anything(),
          }),
        ),
        fc.anything(),
      ),
      service: fc.oneof(
        fc.array(
          fc.record({
            id: fc.oneof(fc.constant('#atproto_pds'), fc.anything()),
            type: fc.oneof(fc.constant('AtprotoPersonalDataServer'), fc.anything()),
            serviceEndpoint: fc.oneof(fc.webUrl(), fc.anything()),
          }),
        ),
        fc.anything(),
      ),
    })
    let accepted = 0
    fc.assert(
      fc.property(document, (value) => {
        const ok = attempt(() => {
          const parsed = parseDidDocument(value, DID)
          getSigningKey(parsed)
          getPdsEndpoint(parsed)
          getHandle(parsed)
        }, InvalidDidDocumentError)
        if (ok) accepted++
      }),
      RUNS,
    )
    expect(accepted).toBeGreaterThan(10)
  })

  it('PLC operations and logs', async () => {
    const signer = generatePrivateKey('k256')
    const { did, operation } = await createPlcIdentity({
      signingKey: signer.didKey,
      handle: 'a.example.com',
      pds: 'https://pds.example.com',
      rotationKeys: [signer.didKey],
      signer,
    })
    const update = await updatePlcOperation(operation, { handle: 'b.example.com' }, signer)
    const text = JSON.stringify([operation, update])
    const directory = createPlcDirectory({ rateLimits: false })
    const bodies: string[] = []
    let refused = 0
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 0x20, max: 0x7e }), (at, code) => {
        const damaged = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
        if (damaged === text) return
        let value: unknown
        try {
          value = JSON.parse(damaged)
        } catch {
          return
        }
        const log = (Array.isArray(value) ? value : [value]).map((entry: unknown) => ({
          did,
          operation: entry,
          // Right for what the entry has become, so that it is the proof that fails.
          cid: cidOf(entry),
          nullified: false,
          createdAt: '2026-01-01T00:00:00.000Z',
        }))
        expect(attempt(() => verifyAuditLog(did, log), InvalidPlcLogError)).toBe(false)
        refused++
        bodies.push(JSON.stringify((value as unknown[])[0]))
      }),
      { numRuns: 1500 },
    )
    expect(refused).toBeGreaterThan(500)
    const genesis = JSON.stringify(operation)
    for (const body of new Set(bodies)) {
      const response = await directory.fetch(
        new Request(`https://plc.test/${did}`, { method: 'POST', body }),
      )
      expect(response.status, body).toBe(body === genesis ? 200 : 400)
      if (body === genesis) break
    }
    fc.assert(
      fc.property(fc.anything(), (value) => {
        attempt(() => parsePlcOperation(value), InvalidPlcOperationError)
        attempt(() => verifyAuditLog(did, [value]), InvalidPlcLogError)
        attempt(() => verifyAuditLog(did, value), InvalidPlcLogError)
      }),
      RUNS,
    )
  })

  it('bounds the work a hostile log can ask for', () => {
    const keys = Array.from({ length: 1000 }, () => `did:key:z${'1'.repeat(40)}`)
    const operation = {
      type: 'plc_operation',
      rotationKeys: keys,
      verificationMethods: {},
      alsoKnownAs: [],
      services: {},
      prev: null,
      sig: 'A'.repeat(86),
    }
    const entry = {
      did: DID,
      operation,
      cid: 'x',
      nullified: false,
      createdAt: '2026-01-01T00:00:00.000Z',
    }
    const began = performance.now()
    expect(() =>
      verifyAuditLog(
        DID,
        Array.from({ length: 9000 }, () => entry),
      ),
    ).toThrow(InvalidPlcLogError)
    expect(() =>
      verifyAuditLog(
        DID,
        Array.from({ length: 11_000 }, () => entry),
      ),
    ).toThrow('too long')
    expect(performance.now() - began).toBeLessThan(2000)
  })
})
