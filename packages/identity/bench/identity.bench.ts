import { randomBytes } from 'node:crypto'
import { P256PublicKey, Secp256k1PublicKey } from '@atcute/crypto'
import { P256Keypair, Secp256k1Keypair, parseDidKey, verifySignature } from '@atproto/crypto'
import { validateOperationLog } from '@did-plc/lib'
import { describe, test } from 'vitest'
import { createResolver } from '../src/index.ts'
import { generatePrivateKey, parsePublicKey, verifyBackends } from '../src/keys/index.ts'
import { createPlcIdentity, updatePlcOperation, verifyOperationLog } from '../src/plc/index.ts'
import type { PlcOperation } from '../src/plc/index.ts'
import { createMemoryNetwork } from '../src/testing/index.ts'

/** As long as a commit without its signature. */
const message = Uint8Array.from(randomBytes(230))

describe.each(['k256', 'p256'] as const)('%s', (curve) => {
  const key = generatePrivateKey(curve)
  const signature = key.sign(message)

  test('verify, key parsed once where the library allows it', async ({ bench }) => {
    const theirs =
      curve === 'k256'
        ? await Secp256k1PublicKey.importRaw(Uint8Array.from(key.publicKey.bytes))
        : await P256PublicKey.importRaw(Uint8Array.from(key.publicKey.bytes))
    const ours = verifyBackends.map((backend) => {
      const publicKey = parsePublicKey(key.didKey, { backend })
      return bench(`ours on ${backend.name}`, () => {
        publicKey.verify(message, signature)
      })
    })
    await bench.compare(
      ...(ours as [(typeof ours)[0]]),
      bench('@atcute/crypto', async () => {
        await theirs.verify(Uint8Array.from(signature), Uint8Array.from(message))
      }),
      bench('@atproto/crypto', async () => {
        await verifySignature(key.didKey, message, signature)
      }),
    )
  })

  test('parse a did:key', async ({ bench }) => {
    await bench.compare(
      bench('ours', () => {
        parsePublicKey(key.didKey)
      }),
      bench('@atproto/crypto', () => {
        parseDidKey(key.didKey)
      }),
    )
  })

  test('sign', async ({ bench }) => {
    const Keypair = curve === 'k256' ? Secp256k1Keypair : P256Keypair
    const theirs = await Keypair.import(key.export())
    await bench.compare(
      bench('ours', () => {
        key.sign(message)
      }),
      bench('@atproto/crypto', async () => {
        await theirs.sign(message)
      }),
    )
  })
})

test('verify the log of a DID with 10 operations', async ({ bench }) => {
  const signer = generatePrivateKey('k256')
  const { did, operation } = await createPlcIdentity({
    signingKey: signer.didKey,
    handle: 'alice.example.com',
    pds: 'https://pds.example.com',
    rotationKeys: [signer.didKey],
    signer,
  })
  const log: PlcOperation[] = [operation]
  let last = operation
  for (let index = 1; index < 10; index++) {
    last = await updatePlcOperation(last, { handle: `alice${index}.example.com` }, signer)
    log.push(last)
  }
  await bench.compare(
    bench('ours', () => {
      verifyOperationLog(did, log)
    }),
    bench('@did-plc/lib', async () => {
      await validateOperationLog(did, log as never)
    }),
  )
})

test('resolveDid from the cache', async ({ bench }) => {
  const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
  const { fetch, setPage } = createMemoryNetwork()
  setPage(`https://plc.directory/${did}`, Response.json({ id: did }))
  const resolver = createResolver({ fetch })
  const cache = new Map([[did, Promise.resolve({ id: did })]])
  await bench.compare(
    bench('ours', async () => {
      await resolver.resolveDid(did)
    }),
    bench('a Map of promises', async () => {
      await cache.get(did)
    }),
  )
})
