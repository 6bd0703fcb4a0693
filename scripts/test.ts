// Everything that proves a checkout: types, lint, format, then every test. Ends with `N passed, N failed`.
//
//   npm test            all of that
//   pnpm check          the same, then unused code (knip), builds, package checks (publint, attw), and the packed packages
//   pnpm test:long      only the long proofs (*.long.test.ts)
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

/** Fewer tests than this means that a folder moved or a filter swallowed them, not that all is well. */
const FEWEST_TESTS = { short: 400, long: 1 }

interface Tally {
  passed: number
  failed: number
  skipped: number
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message?: string
    readonly assertionResults: readonly unknown[]
  }[]
}

const root: string = join(import.meta.dirname, '..')
const bin: string = join(root, 'node_modules', '.bin')
const args: readonly string[] = process.argv.slice(2)
const long = args.includes('--long')
const check = args.includes('--check')

const tally: Tally = { passed: 0, failed: 0, skipped: 0 }

if (!long) {
  step('types', 'tsc', ['-b'])
  step('lint', 'oxlint', ['--type-aware', '--quiet'])
  step('format', 'prettier', ['--check', '--log-level', 'warn', '.'])
}
vitest()
if (check) {
  step('unused code', 'knip', [])
  step('builds', 'pnpm', ['-r', '--filter', './packages/*', 'build'])
  step('package checks', 'pnpm', ['-r', '--filter', './packages/*', 'check:package'])
  step('packed packages', process.execPath, [join(root, 'scripts', 'check-packed.ts')])
}

const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : ''
console.log(`${tally.passed} passed, ${tally.failed} failed${skipped}`)
if (tally.failed > 0) process.exitCode = 1

function step(name: string, program: string, programArgs: readonly string[]): void {
  const started = performance.now()
  const ours = program !== 'pnpm' && program !== process.execPath
  const command = ours ? join(bin, program) : program
  const result = spawnSync(command, programArgs, {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  })
  const ok = result.status === 0
  tally[ok ? 'passed' : 'failed'] += 1
  console.log(`${ok ? '✓' : '✗'} ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
  if (!ok) console.log(`${result.error?.message ?? ''}${result.stdout}${result.stderr}`)
}

function vitest(): void {
  const report = join(root, '.cache', long ? 'test-long.json' : 'test.json')
  mkdirSync(join(root, '.cache'), { recursive: true })
  rmSync(report, { force: true })
  const options = ['run', '--reporter=dot', '--reporter=json', `--outputFile.json=${report}`]
  if (long) options.push('--config', 'vitest.long.config.ts')
  const result = spawnSync(join(bin, 'vitest'), options, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
    // Servers and child processes under test run from source, like the tests.
    env: {
      ...process.env,
      NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --conditions=@skywright/source`.trim(),
    },
  })
  let parsed: VitestReport
  try {
    // The report is vitest's own, in the shape its documentation gives.
    parsed = JSON.parse(readFileSync(report, 'utf8')) as VitestReport
  } catch {
    console.log('✗ vitest wrote no report')
    tally.failed += 1
    return
  }
  tally.passed += parsed.numPassedTests
  tally.failed += parsed.numFailedTests
  tally.skipped += parsed.numPendingTests + parsed.numTodoTests
  const broken = parsed.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  )
  for (const file of broken) {
    console.log(`✗ ${file.name} could not be loaded: ${file.message ?? ''}`)
    tally.failed += 1
  }
  if (result.status !== 0 && parsed.numFailedTests + broken.length === 0) {
    console.log(`✗ vitest ended with exit code ${result.status ?? 'none'}`)
    tally.failed += 1
  }
  const fewest = long ? FEWEST_TESTS.long : FEWEST_TESTS.short
  if (parsed.numPassedTests < fewest) {
    console.log(`✗ only ${parsed.numPassedTests} tests passed, at least ${fewest} expected`)
    tally.failed += 1
  }
}
