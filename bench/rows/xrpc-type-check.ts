import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atproto } from '@skywright/xrpc/lexicons'
import { median, type Row } from '../row.ts'

const ROOT = join(import.meta.dirname, '../..')
const TSC = join(ROOT, 'node_modules/.bin/tsc')
const ROUNDS = 3
const FEWEST_METHODS = 150

export const row: Row = {
  work: 'type-check a program that calls every query and procedure of com.atproto and app.bsky; ours infers from the documents and compares every output and record in full, the rival has generated types',
  unit: 'ms',
  rivalName: '@atproto/api',
  async measure() {
    const calls = methods()
    declare()
    const ours = project('ours', ourProgram(calls))
    const rival = project('rival', rivalProgram(calls))
    const times: number[][] = [[], []]
    for (let round = 0; round < ROUNDS; round++) {
      times[0]?.push(check(ours))
      times[1]?.push(check(rival))
    }
    return {
      ours: median(times[0] ?? []),
      rival: median(times[1] ?? []),
      note: `${calls.length} methods; from the start of the compiler to its end; both read declarations, as of an installed package`,
    }
  },
}

interface Call {
  readonly nsid: string
  readonly type: 'query' | 'procedure'
}

function methods(): readonly Call[] {
  const calls = atproto.ids.flatMap((nsid) => {
    const type = atproto.method(nsid)?.type
    return type === 'query' || type === 'procedure' ? [{ nsid, type } as const] : []
  })
  if (calls.length < FEWEST_METHODS) throw new Error(`too few methods; found=${calls.length}`)
  return calls
}

function ourProgram(calls: readonly Call[]): string {
  const records = atproto.ids.filter((nsid) => atproto.hasRecord(nsid))
  return [
    "import { createClient, type OutputOf, type RecordOf } from '@skywright/xrpc'",
    "import { atproto, type AtprotoDocuments as R } from '@skywright/xrpc/lexicons'",
    "const client = createClient({ service: 'https://example.com', lexicons: atproto })",
    // Declarations that were not found would be `any`, and cost nothing.
    "// @ts-expect-error no such method\nexport const none = client.query('com.example.none', {})",
    "// @ts-expect-error no such field\nexport type None = OutputOf<R, 'app.bsky.actor.getProfile'>['none']",
    // What is received fits what may be sent, down to the last field, which makes the compiler work all of it out.
    ...calls.map(
      ({ nsid, type }, i) =>
        `export const o${i}: OutputOf<R, '${nsid}', 'provide'> = await client.${type}('${nsid}', {} as never)`,
    ),
    ...records.map(
      (nsid, i) =>
        `export const r${i}: RecordOf<R, '${nsid}', 'provide'> = {} as RecordOf<R, '${nsid}'>`,
    ),
  ].join('\n')
}

function rivalProgram(calls: readonly Call[]): string {
  return [
    "import { AtpBaseClient } from '@atproto/api'",
    "const client = new AtpBaseClient({ service: 'https://example.com' })",
    ...calls.map(
      ({ nsid, type }, i) =>
        `export const o${i} = await client.${nsid}(${type === 'query' ? '{} as never' : '{} as never, undefined as never'})`,
    ),
  ].join('\n')
}

/** Writes the declarations of the packages, which is no part of what is measured. */
function declare(): void {
  const { status, stdout } = spawnSync(TSC, ['-b', join(ROOT, 'packages/xrpc')], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stdout.slice(0, 2000))
}

const declarations = '../../../../.cache/tsc'

/** Where the compiler finds what an installed package would bring. */
const PATHS = {
  '@skywright/xrpc': [`${declarations}/xrpc/src/index.d.ts`],
  '@skywright/xrpc/lexicons': [`${declarations}/xrpc/src/lexicons.d.ts`],
  '@skywright/identity': [`${declarations}/identity/src/index.d.ts`],
  '@skywright/identity/keys': [`${declarations}/identity/src/keys/index.d.ts`],
  '@skywright/repo': [`${declarations}/repo/src/index.d.ts`],
  '@atproto/lexicon': ['../../../../packages/xrpc/node_modules/@atproto/lexicon'],
}

/** A project of one file, where the packages of this folder resolve. */
function project(name: string, program: string): string {
  const folder = join(import.meta.dirname, '../.cache/type-check', name)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'program.ts'), program)
  const config = {
    extends: '../../../../tsconfig.base.json',
    compilerOptions: {
      composite: false,
      declaration: false,
      isolatedDeclarations: false,
      noEmit: true,
      paths: PATHS,
    },
    include: ['program.ts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  return folder
}

function check(folder: string): number {
  const started = performance.now()
  const { status, stdout } = spawnSync(TSC, ['-p', folder], { encoding: 'utf8' })
  const elapsed = performance.now() - started
  if (status !== 0) throw new Error(stdout.slice(0, 2000))
  return elapsed
}
