import type * as nodeCryptoModule from 'node:crypto'
import type * as nodeModuleModule from 'node:module'
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js'
import { createNativeBackend, isNativeSecp256k1 } from './backend-native.ts'
import type { NativeSecp256k1, Sha256 } from './backend-native.ts'
import { createNodeBackend } from './backend-node.ts'
import { nobleBackend } from './backend-noble.ts'
import type { VerifyBackend } from './backend.ts'

type NodeCrypto = typeof nodeCryptoModule

/** `node:crypto` where the runtime has one, without an import that other runtimes would trip over. */
export const nodeCrypto: NodeCrypto | undefined = builtin('node:crypto')

/** The native secp256k1 package, when the application installed it. */
export const nativeSecp256k1: NativeSecp256k1 | undefined = loadNative()

/** SHA-256 by the fastest means present. */
export const sha256: Sha256 =
  nodeCrypto !== undefined && typeof nodeCrypto.hash === 'function'
    ? hashWith(nodeCrypto)
    : nobleSha256

/**
 * The verification backends present in this process, fastest first: `native` (npm package `secp256k1` installed
 * beside this one), `node` (node:crypto) and, always, `noble`. The first is what keys use unless told otherwise.
 */
export const verifyBackends: readonly VerifyBackend[] = findBackends()

/** The backend keys use by default. */
export const defaultBackend: VerifyBackend = verifyBackends[0] ?? nobleBackend

function findBackends(): readonly VerifyBackend[] {
  const node = nodeCrypto === undefined ? undefined : createNodeBackend(nodeCrypto)
  const portable = node ?? nobleBackend
  const found: VerifyBackend[] = []
  if (nativeSecp256k1 !== undefined)
    found.push(createNativeBackend(nativeSecp256k1, sha256, portable))
  if (node !== undefined) found.push(node)
  found.push(nobleBackend)
  return found
}

function hashWith(crypto: NodeCrypto): Sha256 {
  return (bytes) => crypto.hash('sha256', bytes, 'buffer')
}

function loadNative(): NativeSecp256k1 | undefined {
  try {
    const nodeModule = builtin<typeof nodeModuleModule>('node:module')
    // `bindings.js` is the native half; the package's main file would fall back to slow JavaScript.
    const loaded: unknown = nodeModule?.createRequire(import.meta.url)('secp256k1/bindings.js')
    return isNativeSecp256k1(loaded) ? loaded : undefined
  } catch {
    return undefined
  }
}

function builtin<T>(name: string): T | undefined {
  const host: { readonly process?: { readonly getBuiltinModule?: (id: string) => unknown } } =
    globalThis
  if (typeof host.process?.getBuiltinModule !== 'function') return undefined
  // The type of a Node built-in is a fact of Node.
  return host.process.getBuiltinModule(name) as T | undefined
}
