import { InvalidRequestError, type LexiconCatalog } from '@skywright/xrpc'

/**
 * Holds the blobs of a valid record to what its lexicon says about them: accepted media types and
 * largest size.
 *
 * @throws {InvalidRequestError} `InvalidMimeType` or `BlobTooLarge`.
 */
export function checkBlobLimits(
  lexicons: LexiconCatalog,
  collection: string,
  record: unknown,
): void {
  visit(lexicons, collection, lexicons.get(collection)?.defs['main'], record)
}

type Fields = Readonly<Record<string, unknown>>

/** Walks the record along its schema; what the schema does not name is not held to anything. */
function visit(lexicons: LexiconCatalog, nsid: string, schema: unknown, value: unknown): void {
  if (!isObject(schema) || value === undefined || value === null) return
  switch (schema['type']) {
    case 'record':
      visit(lexicons, nsid, schema['record'], value)
      break
    case 'object':
      if (!isObject(value) || !isObject(schema['properties'])) return
      for (const [name, property] of Object.entries(schema['properties'])) {
        visit(lexicons, nsid, property, value[name])
      }
      break
    case 'array':
      if (!Array.isArray(value)) return
      for (const item of value) visit(lexicons, nsid, schema['items'], item)
      break
    case 'ref':
      follow(lexicons, nsid, String(schema['ref']), value)
      break
    case 'union':
      if (isObject(value)) follow(lexicons, nsid, String(value['$type']), value)
      break
    case 'blob':
      if (isObject(value)) checkBlob(schema, value)
      break
    default:
  }
}

function follow(lexicons: LexiconCatalog, nsid: string, reference: string, value: unknown): void {
  const [document = '', name = 'main'] = reference.split('#')
  const target = document === '' ? nsid : document
  visit(lexicons, target, lexicons.get(target)?.defs[name], value)
}

function checkBlob(schema: Fields, { mimeType, size }: Fields): void {
  const { accept, maxSize } = schema
  if (
    Array.isArray(accept) &&
    !accept.some((pattern) => matches(String(mimeType), String(pattern)))
  ) {
    throw new InvalidRequestError(`media type is not accepted here: ${String(mimeType)}`, {
      error: 'InvalidMimeType',
    })
  }
  if (typeof maxSize === 'number' && typeof size === 'number' && size > maxSize) {
    throw new InvalidRequestError(`a blob here may have at most ${maxSize} bytes, not ${size}`, {
      error: 'BlobTooLarge',
    })
  }
}

function matches(mimeType: string, pattern: string): boolean {
  if (pattern === '*/*') return true
  return pattern.endsWith('/*') ? mimeType.startsWith(pattern.slice(0, -1)) : mimeType === pattern
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
