/**
 * Writes `src/lexicons/` from the lexicon documents of the pinned `@atproto/api`.
 *
 * Two kinds of module come out, because types and data have different costs. `registry.ts` holds the
 * documents as types only, so nothing of it exists at run time. `com-atproto.ts` and `app-bsky.ts` hold each
 * document as JSON text, which a catalog parses when a document is first asked for.
 *
 * The output depends on nothing but the documents and this file; a second run finds its fingerprint and
 * writes nothing. `--force` writes regardless, `--check` exits 1 when the output is missing or stale.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = '@atproto/api'
const NAMESPACES = [
  { prefix: 'com.atproto.', file: 'com-atproto.ts', constant: 'COM_ATPROTO' },
  { prefix: 'app.bsky.', file: 'app-bsky.ts', constant: 'APP_BSKY' },
] as const
/** Fewer documents than this means that the source changed shape, not that the protocol shrank. */
const MIN_DOCUMENTS = 200

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

interface Document {
  readonly id: string
  readonly [key: string]: Json
}

const script = fileURLToPath(import.meta.url)
const target = join(dirname(script), '..', 'src', 'lexicons')

function fingerprint(): string {
  let directory = dirname(fileURLToPath(import.meta.resolve(SOURCE)))
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory)
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    version: string
  }
  const generator = createHash('sha256').update(readFileSync(script)).digest('hex').slice(0, 12)
  return `// Generated from ${SOURCE} ${manifest.version} by scripts/generate-lexicons.ts (${generator}). Do not edit.\n`
}

function isCurrent(header: string): boolean {
  return ['registry.ts', ...NAMESPACES.map((namespace) => namespace.file)].every((file) => {
    const path = join(target, file)
    return existsSync(path) && readFileSync(path, 'utf8').startsWith(header)
  })
}

/**
 * Drops descriptions and the `lex:` prefix that the code generator of the source leaves on references.
 * A property that is itself called "description" is an object, so only text is dropped.
 */
function clean(value: Json): Json {
  if (typeof value === 'string') return value.startsWith('lex:') ? value.slice(4) : value
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map((item: Json) => clean(item))
  const entries = Object.entries(value)
    .filter(([key, item]) => !(key === 'description' && typeof item === 'string'))
    .map(([key, item]) => [key, clean(item)] as const)
  return Object.fromEntries(entries)
}

/** A JSON value as a TypeScript type: literals, tuples and object types, all of them quoted. */
function typeText(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item: Json) => typeText(item)).join(',')}]`
  const members = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}:${typeText(item)}`,
  )
  return `{${members.join(';')}}`
}

function write(file: string, text: string): void {
  const path = join(target, file)
  const temporary = `${path}.${process.pid}.tmp`
  writeFileSync(temporary, text)
  renameSync(temporary, path)
}

const header = fingerprint()
const current = isCurrent(header)
if (process.argv.includes('--check')) {
  process.exitCode = current ? 0 : 1
} else if (!current || process.argv.includes('--force')) {
  const { schemas } = (await import(SOURCE)) as { schemas: readonly Document[] }
  const documents = schemas
    .filter(({ id }) => NAMESPACES.some(({ prefix }) => id.startsWith(prefix)))
    .map((document) => clean(document) as Document)
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  if (documents.length < MIN_DOCUMENTS) {
    throw new Error(
      `too few lexicon documents; found=${documents.length}, expected at least ${MIN_DOCUMENTS}`,
    )
  }
  mkdirSync(target, { recursive: true })
  for (const { prefix, file, constant } of NAMESPACES) {
    const lines = documents
      .filter(({ id }) => id.startsWith(prefix))
      .map(
        (document) =>
          `  ${JSON.stringify(document.id)}: ${JSON.stringify(JSON.stringify(document))},\n`,
      )
    const type = 'Readonly<Record<string, string>>'
    write(file, `${header}export const ${constant}: ${type} = {\n${lines.join('')}}\n`)
  }
  const members = documents.map(
    (document) => `  ${JSON.stringify(document.id)}: ${typeText(document)}\n`,
  )
  const name = 'AtprotoDocuments'
  write('registry.ts', `${header}export interface ${name} {\n${members.join('')}}\n`)
}
