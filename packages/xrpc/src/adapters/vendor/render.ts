import { createCatalog } from '../../catalog.ts'
import { InvalidLexiconError } from '../../errors.ts'
import type { LexiconDocument } from '../../lexicon-document.ts'

/** A document, as strangers publish them, may be this long in JSON. */
export const MAX_LEXICON_BYTES = 1_048_576
const MAX_DEPTH = 64
const NSID =
  /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+\.[a-zA-Z][a-zA-Z0-9]{0,62}$/
const MAX_NSID_LENGTH = 317
/** With its ending within the 255 bytes that file systems take. */
const MAX_MODULE_LENGTH = 250
const HEADER = '// Written by `xrpc vendor`. Do not edit.\n'
/** Names that Windows keeps for devices, whatever follows the first dot. */
const DEVICE = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])$/i

/** Options of {@link renderLexicons}. */
export interface RenderOptions {
  /**
   * What imports of the other modules end in: `.ts` for Node, Deno, Bun and compilers with `allowImportingTsExtensions`,
   * `.js` for others.
   * @defaultValue '.ts'
   */
  readonly importEnding?: '.ts' | '.js'
}

/**
 * TypeScript modules of lexicon documents, by file name: one a document, and `index.ts` with all of them as `documents` and
 * a catalog of them. The same documents give the same bytes, in any order.
 *
 * The documents are not trusted: everything in them ends up quoted, names are made of checked NSIDs, and each is
 * checked to be a lexicon document.
 *
 * @throws {InvalidLexiconError} when a document is not one, or two would need the same file
 */
export function renderLexicons(
  documents: readonly unknown[],
  options: RenderOptions = {},
): ReadonlyMap<string, string> {
  const checked = documents.map(checkDocument).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  createCatalog(...checked)
  const files = new Map<string, string>()
  const taken = new Set<string>(['index'])
  const constants = new Set<string>()
  const names: { readonly module: string; readonly constant: string }[] = []
  for (const document of checked) {
    const module = moduleName(document.id)
    if (module.length > MAX_MODULE_LENGTH) {
      throw new InvalidLexiconError(document.id, 'too long for the name of a file')
    }
    if (taken.has(module.toLowerCase())) {
      throw new InvalidLexiconError(document.id, 'differs from another only in case')
    }
    taken.add(module.toLowerCase())
    const constant = unused(constantName(document.id), constants)
    constants.add(constant)
    names.push({ module, constant })
    files.set(
      `${module}.ts`,
      `${HEADER}export const ${constant} = ${literal(document, 0, MAX_DEPTH)} as const\n`,
    )
  }
  files.set('index.ts', indexOf(names, options.importEnding ?? '.ts'))
  return files
}

/** Whether a text is an NSID: what a name for DNS, a file and a constant can be made of. */
export function isNsid(text: string): boolean {
  return text.length <= MAX_NSID_LENGTH && NSID.test(text)
}

/**
 * Checks the frame of a document: an NSID, a version, definitions and a length; and leaves `$type` out of it, which records
 * have. What is in the definitions is left for a catalog to check.
 *
 * @throws {InvalidLexiconError} when it is not one
 */
export function checkDocument(document: unknown): LexiconDocument {
  const { id, lexicon, defs } = (document ?? {}) as Readonly<Record<string, unknown>>
  if (typeof id !== 'string' || !isNsid(id)) {
    throw new InvalidLexiconError(String(id).slice(0, MAX_NSID_LENGTH), 'id is not an NSID')
  }
  if (lexicon !== 1 || typeof defs !== 'object' || defs === null) {
    throw new InvalidLexiconError(id, 'not a lexicon document')
  }
  const text = textOf(id, document)
  if (text.length > MAX_LEXICON_BYTES) throw new InvalidLexiconError(id, 'too long')
  const { $type: _type, ...rest } = JSON.parse(text) as Record<string, unknown>
  // Shape and NSID have just been checked; `createCatalog` checks the rest.
  return rest as unknown as LexiconDocument
}

function textOf(id: string, document: unknown): string {
  try {
    return JSON.stringify(document)
  } catch (cause) {
    throw new InvalidLexiconError(id, 'nested too deep', { cause })
  }
}

function moduleName(nsid: string): string {
  const [first = ''] = nsid.split('.')
  return DEVICE.test(first) ? `_${nsid}` : nsid
}

function constantName(nsid: string): string {
  return nsid
    .split(/[.-]/)
    .map((part, i) => (i === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1)))
    .join('')
}

/** The name, numbered when another NSID reads the same without its dots and hyphens: `a.b-c.d` and `a.b.c.d`. */
function unused(name: string, taken: ReadonlySet<string>): string {
  let free = name
  for (let i = 2; taken.has(free); i++) free = `${name}_${i}`
  return free
}

function literal(value: unknown, indent: number, depth: number): string {
  if (depth === 0) throw new InvalidLexiconError('', 'nested too deep')
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const inner = '  '.repeat(indent + 1)
  const items = Array.isArray(value)
    ? value.map((item: unknown) => literal(item, indent + 1, depth - 1))
    : Object.entries(value).map(
        ([key, item]) => `${propertyName(key)}: ${literal(item, indent + 1, depth - 1)}`,
      )
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  if (items.length === 0) return open + close
  return `${open}\n${items.map((item) => `${inner}${item},\n`).join('')}${'  '.repeat(indent)}${close}`
}

/** `"__proto__": x` in a literal would set the prototype; computed it is a property like any other. */
function propertyName(key: string): string {
  return key === '__proto__' ? '["__proto__"]' : JSON.stringify(key)
}

function indexOf(
  names: readonly { readonly module: string; readonly constant: string }[],
  ending: string,
): string {
  const imports = names.map(
    ({ module, constant }) => `import { ${constant} } from './${module}${ending}'\n`,
  )
  const types = names.map(({ constant }) => `  typeof ${constant},\n`)
  const values = names.map(({ constant }) => `  ${constant},\n`)
  return [
    HEADER,
    "import { createCatalog } from '@skywright/xrpc'\n",
    "import type { LexiconCatalog, RegistryOf } from '@skywright/xrpc'\n",
    ...imports,
    '\nexport const documents: readonly [\n',
    ...types,
    '] = [\n',
    ...values,
    ']\n\nexport type Lexicons = RegistryOf<typeof documents>\n\n',
    'export const lexicons: LexiconCatalog<Lexicons> = createCatalog(...documents)\n',
  ].join('')
}
