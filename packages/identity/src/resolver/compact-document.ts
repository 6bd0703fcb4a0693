import { contextOfCurve, getHandle, getPdsEndpoint } from '../did-document-access.ts'
import { parseDidDocument } from '../did-document.ts'
import type { DidDocument } from '../did-document.ts'
import type { Curve } from '../keys/key.ts'

/**
 * A document as short text. Nearly every account's document is the same but for handle, PDS and key, so that is all
 * that is kept of it; any other document is kept whole.
 */
export function packDocument(document: DidDocument): string {
  const whole = JSON.stringify(document)
  const key = document.verificationMethod?.[0]?.publicKeyMultibase
  const handle = getHandle(document)
  const pds = getPdsEndpoint(document, { allowHttp: true })
  if (typeof key !== 'string' || handle === undefined || pds === undefined) return whole
  const text = [handle, pds, key].join(' ')
  const parts = parsePlain(text)
  return parts !== undefined && JSON.stringify(plainDocument(document.id, parts)) === whole
    ? text
    : whole
}

/**
 * The document that was packed for `did`.
 * @throws {InvalidDidDocumentError} when the text is not one
 */
export function unpackDocument(did: string, text: string): DidDocument {
  const parts = parsePlain(text)
  return parts === undefined ? parseDidDocument(JSON.parse(text), did) : plainDocument(did, parts)
}

interface PlainParts {
  readonly curve: Curve
  readonly handle: string
  readonly pds: string
  readonly key: string
}

/** A whole document begins with a brace, which no handle does. */
function parsePlain(text: string): PlainParts | undefined {
  if (text.startsWith('{')) return undefined
  const [handle, pds, key] = text.split(' ')
  if (handle === undefined || pds === undefined || key === undefined) return undefined
  return { curve: key.startsWith('zD') ? 'p256' : 'k256', handle, pds, key }
}

/** The document the PLC directory answers for an account with one handle, one key and one PDS. */
function plainDocument(did: string, { curve, handle, pds, key }: PlainParts): DidDocument {
  return {
    '@context': [
      'https://www.w3.org/ns/did/v1',
      'https://w3id.org/security/multikey/v1',
      contextOfCurve(curve),
    ],
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: [
      { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: key },
    ],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: pds }],
  }
}
