// Makes each mistake of the list in a copy of the repository and runs the tests that have to notice it.
//
//   pnpm test:mutants              every mutant; ends with `N killed, N survived`
//   pnpm test:mutants WORD…        those whose file or text holds one of the words
import { spawn } from 'node:child_process'
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Mutant, mutants } from './mutants.ts'

/** Longer than any of the named tests takes; who hangs has noticed. */
const TIMEOUT_MS = 300_000

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly message?: string
    readonly assertionResults: readonly unknown[]
  }[]
}

/** What tests said: `broken` when a file of them could not even be loaded. */
type Verdict = 'passed' | 'failed' | 'hung' | 'broken'

const root: string = join(import.meta.dirname, '..', '..')
const words: readonly string[] = process.argv.slice(2)
const chosen: readonly Mutant[] = mutants.filter(
  ({ file, find, replace }) =>
    words.length === 0 || words.some((word) => `${file} ${find} ${replace}`.includes(word)),
)
if (chosen.length === 0) throw new Error(`no mutant has ${words.join(' or ')}`)

/** A copy of the sources and tests, with the packages installed here. */
function copyRepository(): string {
  const copy = mkdtempSync(join(tmpdir(), 'skywright-mutants-'))
  for (const name of readdirSync(root)) {
    if (/^(package\.json|pnpm-workspace\.yaml|tsconfig.*|vitest\.config\.ts|tsup.*)$/.test(name))
      cpSync(join(root, name), join(copy, name))
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const name of ['packages', 'scripts']) {
    cpSync(join(root, name), join(copy, name), {
      recursive: true,
      // Links between the packages stay inside the copy.
      verbatimSymlinks: true,
      filter: (path) => !/[\\/](dist|\.cache)([\\/]|$)/.test(path),
    })
  }
  return copy
}

/** Runs test files in a copy. */
async function test(copy: string, files: readonly string[]): Promise<Verdict> {
  const report = join(copy, 'report.json')
  rmSync(report, { force: true })
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const reporting = ['--reporter=json', `--outputFile.json=${report}`]
  const options = ['run', '--bail=1', '--maxWorkers=1', ...reporting]
  const child = spawn(process.execPath, [vitest, ...options, ...files], {
    cwd: copy,
    stdio: 'ignore',
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    env: {
      ...process.env,
      NODE_OPTIONS: '--conditions=@skywright/source',
      SKYWRIGHT_FIXTURES:
        process.env['SKYWRIGHT_FIXTURES'] ?? join(root, '..', 'shared', 'fixtures'),
    },
  })
  const [code, killed] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      resolve([exitCode, signal])
    })
  })
  if (killed !== null) return 'hung'
  let results: VitestReport
  try {
    // The report is vitest's own, in the shape its documentation gives.
    results = JSON.parse(readFileSync(report, 'utf8')) as VitestReport
  } catch {
    return 'broken'
  }
  if (results.numFailedTests > 0) return 'failed'
  const isLoaded = results.testResults.every(
    ({ status, assertionResults }) => status !== 'failed' || assertionResults.length > 0,
  )
  if (!isLoaded || results.numPassedTests === 0) return 'broken'
  return code === 0 ? 'passed' : 'failed'
}

/** Makes the mistake, asks the tests, and takes it back. */
async function judge(copy: string, { file, find, replace, tests }: Mutant): Promise<Verdict> {
  const path = join(copy, file)
  const source = readFileSync(path, 'utf8')
  writeFileSync(
    path,
    source.replace(find, () => replace),
  )
  try {
    return await test(copy, tests)
  } finally {
    writeFileSync(path, source)
  }
}

/** Works through the mutants, several copies at a time; gives those that survived. */
async function run(copies: readonly string[]): Promise<readonly Mutant[]> {
  const files = [...new Set(chosen.flatMap(({ tests }) => tests))]
  const [first = ''] = copies
  const sane = await test(first, files)
  if (sane !== 'passed') throw new Error(`without any mistake the tests ${sane}`)
  const survivors: Mutant[] = []
  const left = chosen.values()
  const work = async (copy: string): Promise<void> => {
    for (const mutant of left) {
      const verdict = await judge(copy, mutant)
      const isKilled = verdict === 'failed' || verdict === 'hung'
      if (!isKilled) survivors.push(mutant)
      const { file, find, replace } = mutant
      const line = (text: string): string => text.replaceAll(/\s+/g, ' ')
      console.log(
        `${isKilled ? '✓' : '✗'} ${file}: ${line(find)} → ${line(replace)}${isKilled ? '' : ` (${verdict})`}`,
      )
    }
  }
  await Promise.all(copies.map(work))
  return survivors
}

const copies: readonly string[] = Array.from({ length: availableParallelism() }, copyRepository)
try {
  const survivors = await run(copies)
  console.log(`${chosen.length - survivors.length} killed, ${survivors.length} survived`)
  if (survivors.length > 0) process.exitCode = 1
} finally {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true })
}
