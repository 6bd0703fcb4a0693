// Every speed figure of the project, each beside its rival in the same run.
//
//   pnpm bench [ROW…] [--json FILE] [--list]
//
// Rows live in bench/rows/ and run one after the other, each in a process of its own; those that take many minutes only
// when they are named. The rivals are heavy, so
// bench/ is outside the workspace and installed on first use. Rewrites docs/benchmarks.md.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { RowResult } from '../bench/row.ts'

interface Recorded extends RowResult {
  readonly date: string
  readonly machine: string
}

const root: string = join(import.meta.dirname, '..')
const bench: string = join(root, 'bench')
const recordFile: string = join(bench, 'results.json')
const known: readonly string[] = readdirSync(join(bench, 'rows'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.slice(0, -3))
  .sort()

/** Rows that run only when they are named. */
const LONG: ReadonlySet<string> = new Set(['index-10m'])

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'string' }, list: { type: 'boolean' } },
})

if (values.list === true) {
  console.log(known.join('\n'))
} else {
  const unknown = positionals.filter((id) => !known.includes(id))
  if (unknown.length > 0) {
    console.error(`no such row: ${unknown.join(', ')}; there are: ${known.join(', ')}`)
    process.exitCode = 2
  } else {
    runRows(positionals.length > 0 ? positionals : known.filter((id) => !LONG.has(id)))
  }
}

function runRows(ids: readonly string[]): void {
  installRivals()
  checkTypes()
  const results: Recorded[] = []
  for (const id of ids) {
    const measured = runRow(id)
    if (measured.length === 0) process.exitCode = 1
    for (const result of measured) {
      results.push(result)
      console.log(
        `${result.id.padEnd(24)} ${format(result.ours, result.unit)}   ${result.rivalName} ${format(result.rival, result.unit)}   ${result.ratio}×   ${result.note}`,
      )
    }
  }
  if (values.json !== undefined) {
    const rows = results.map(({ id, ours, unit, rival, rivalName, ratio, note }) => ({
      id,
      ours,
      unit,
      rival,
      rivalName,
      ratio,
      note,
    }))
    writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
  }
  record(results)
}

function installRivals(): void {
  const lock = readFileSync(join(bench, 'pnpm-lock.yaml'))
  const stamp = join(bench, 'node_modules', '.skywright-lock')
  if (existsSync(stamp) && readFileSync(stamp).equals(lock)) return
  console.error('installing the rivals (first use) …')
  const result = spawnSync('pnpm', ['install', '--frozen-lockfile', '--reporter=silent'], {
    cwd: bench,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (result.status !== 0) throw new Error('could not install the rivals in bench/')
  writeFileSync(stamp, lock)
}

/** The rows' types can only be checked once the rivals are there. */
function checkTypes(): void {
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  const result = spawnSync(tsc, ['-p', bench], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (result.status !== 0) throw new Error('the types in bench/ do not fit')
}

/** What a row or suite measured; nothing when it failed. */
function runRow(id: string): Recorded[] {
  const result = spawnSync(
    process.execPath,
    ['--conditions=@skywright/source', '--expose-gc', join(bench, 'main.ts'), id],
    {
      cwd: bench,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 64 * 1024 * 1024,
    },
  )
  const lines = result.stdout.split('\n').filter((line) => line.startsWith('{"id":'))
  if (result.status !== 0 || lines.length === 0) {
    console.error(`${id}: failed (exit ${result.status ?? 'none'})`)
    return []
  }
  const machine = `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? process.arch}, Node ${process.versions.node}`
  const date = new Date().toISOString().slice(0, 10)
  // The lines are what bench/main.ts has just printed.
  return lines.map((line) => ({ ...(JSON.parse(line) as RowResult), date, machine }))
}

function format(value: number, unit: string): string {
  return `${value.toLocaleString('en-US')}${unit === '/s' ? '/s' : ` ${unit}`}`
}

/** Keeps the newest result of each row and writes the page from them. */
function record(results: readonly Recorded[]): void {
  const rows = new Map<string, Recorded>()
  if (existsSync(recordFile)) {
    // Written by this function.
    for (const row of JSON.parse(readFileSync(recordFile, 'utf8')) as Recorded[])
      rows.set(row.id, row)
  }
  for (const row of results) rows.set(row.id, row)
  const all = [...rows.values()]
    .filter((row) => known.includes(row.id.split('/')[0] ?? ''))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  writeFileSync(recordFile, `${JSON.stringify(all, null, 2)}\n`)
  const lines = all.map(
    (row) =>
      `| \`${row.id}\` | ${row.work} | ${format(row.ours, row.unit)} | ${row.rivalName}: ${format(row.rival, row.unit)} | ${row.ratio}× | ${row.note} | ${row.date} |`,
  )
  const machines = [...new Set(all.map((row) => row.machine))]
  writeFileSync(
    join(root, 'docs', 'benchmarks.md'),
    `# Benchmarks

Generated by \`pnpm bench\`: every figure is measured in the same run as its rival, medians of rounds taken in turn.
Shared machines are noisy, so read the ratios, not the absolute figures.

| Row | Work | Skywright | Rival | Ratio | Note | Date |
| --- | --- | --- | --- | --- | --- | --- |
${lines.join('\n')}

Measured on: ${machines.join('; ')}.
`,
  )
}
