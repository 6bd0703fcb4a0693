// Verifies captured firehose frames completely and says what became of each.
//
//   pnpm verify-frames FILE --did-docs FILE [--allow-rejected] [--json]
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import {
  createDocumentIdentities,
  readFrameFile,
  verifyFrames,
  type FrameReport,
} from '../packages/firehose/src/index.ts'

const USAGE = `usage: pnpm verify-frames FILE --did-docs FILE [--allow-rejected] [--json]

  FILE              captured subscribeRepos frames, [u32 little-endian length][frame]…
  --did-docs FILE   JSON object: DID → DID document of every account in the capture
  --allow-rejected  exit 0 although frames were rejected
  --json            print the report as JSON`

class UsageError extends Error {
  override readonly name = 'UsageError'
}

interface Arguments {
  readonly file: string
  readonly didDocs: string
  readonly allowRejected: boolean
  readonly json: boolean
}

function readArguments(args: readonly string[]): Arguments | undefined {
  let parsed
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'did-docs': { type: 'string' },
        'allow-rejected': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
  const { positionals, values } = parsed
  if (values.help) return undefined
  const [file, ...rest] = positionals
  if (file === undefined) throw new UsageError('FILE is missing')
  if (rest.length > 0) throw new UsageError(`one FILE only; also given: ${rest.join(' ')}`)
  const didDocs = values['did-docs']
  if (didDocs === undefined) throw new UsageError('--did-docs FILE is missing')
  return { file, didDocs, allowRejected: values['allow-rejected'], json: values.json }
}

function read(path: string, what: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UsageError(`cannot read ${what}: ${reason}`)
  }
}

function readDocuments(path: string): Parameters<typeof createDocumentIdentities>[0] {
  const text = new TextDecoder().decode(read(path, 'the DID documents'))
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new UsageError(`the DID documents are no JSON: ${path}`)
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new UsageError(`the DID documents are no JSON object of DID → document: ${path}`)
  }
  // Each document is checked when its key is read; one that is none has no key and its commits are rejected.
  return value as Parameters<typeof createDocumentIdentities>[0]
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

function print(report: FrameReport): void {
  const rate = Math.round((report.frames / report.elapsedMs) * 1000)
  const commits = sum(report.accepted) + sum(report.discontinuous) + sum(report.rejected)
  console.log(`frames         ${report.frames}`)
  console.log(`accepted       ${sum(report.accepted)} of ${commits}`)
  list(report.accepted)
  console.log(`discontinuous  ${sum(report.discontinuous)}`)
  list(report.discontinuous)
  console.log(`rejected       ${sum(report.rejected)}`)
  list(report.rejected)
  console.log(`decoded        ${sum(report.decoded)}`)
  list(report.decoded)
  console.log(`operations     ${report.operations}`)
  console.log(`rate           ${rate} frames/s (${report.elapsedMs.toFixed(0)} ms, one thread)`)
}

function list(counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) console.log(`  ${name.padEnd(22)} ${count}`)
}

async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2))
  if (args === undefined) {
    console.log(USAGE)
    return 0
  }
  const frames = [...readFrameFile(read(args.file, 'the frames'))]
  if (frames.length === 0) throw new UsageError(`no frames in ${args.file}`)
  const identity = createDocumentIdentities(readDocuments(args.didDocs))
  const report = await verifyFrames(frames, { identity })
  if (args.json) console.log(JSON.stringify(report))
  else print(report)
  return sum(report.rejected) > 0 && !args.allowRejected ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  console.error(`verify-frames: ${message}`)
  if (error instanceof UsageError) console.error(`\n${USAGE}`)
  process.exitCode = 2
}
