import { contextOfCurve } from '../did-document-access.ts'
import type { DidDocument } from '../did-document.ts'
import { decodeMultikey } from '../keys/multikey.ts'
import type { PlcDocumentData } from './operation.ts'

/** The DID document of a did:plc state, the same a directory answers. */
export function plcDidDocument(data: PlcDocumentData): DidDocument {
  const contexts = new Set([
    'https://www.w3.org/ns/did/v1',
    'https://w3id.org/security/multikey/v1',
  ])
  const verificationMethod = Object.entries(data.verificationMethods).map(([id, key]) => {
    const context = curveContext(key)
    if (context !== undefined) contexts.add(context)
    return {
      id: `${data.did}#${id}`,
      type: 'Multikey',
      controller: data.did,
      publicKeyMultibase: key.replace(/^did:key:/, ''),
    }
  })
  const service = Object.entries(data.services).map(([id, { type, endpoint }]) => ({
    id: `#${id}`,
    type,
    serviceEndpoint: endpoint,
  }))
  return {
    '@context': [...contexts],
    id: data.did,
    alsoKnownAs: data.alsoKnownAs,
    verificationMethod,
    service,
  }
}

function curveContext(key: string): string | undefined {
  try {
    return contextOfCurve(decodeMultikey(key).curve)
  } catch {
    // A key of a type the protocol does not use: it is published, without a context of its own.
    return undefined
  }
}
