// Runs one of the project's commands with the toolchain it needs, fetching from npm what the machine lacks.
// Plain JavaScript without dependencies: this file itself must run on Node 18.
//
//   node scripts/bootstrap.mjs COMMAND [ARGUMENT…]
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR = 24
const PNPM_MAJOR = 11

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const cache = join(root, '.cache')
const toolchain = join(cache, 'toolchain')
const windows = process.platform === 'win32'

/** What each command runs once the workspace is set up. `node` means: on the sources, without a build. */
const commands = {
  start: ['examples/network/src/main.ts'],
  test: ['scripts/test.ts'],
  'test:long': ['scripts/test.ts', '--long'],
  'test:mutants': ['scripts/mutants/main.ts'],
  check: ['scripts/test.ts', '--check'],
  bench: ['scripts/bench.ts'],
  'verify-frames': ['scripts/verify-frames.ts'],
  generate: undefined,
}

main()

function main() {
  const [command, ...rest] = process.argv.slice(2)
  if (command === undefined || !Object.hasOwn(commands, command)) {
    console.error(
      `usage: node scripts/bootstrap.mjs ${Object.keys(commands).join('|')} [argument…]`,
    )
    process.exitCode = 2
    return
  }
  const environment = provideToolchain()
  installWorkspace(environment)
  generateLexicons(environment)
  const script = commands[command]
  if (script === undefined) return
  const [entry, ...fixed] = script
  run(environment, [
    '--conditions=@skywright/source',
    join(root, entry),
    ...fixed,
    ...withoutSeparator(rest),
  ])
}

/** `pnpm run x -- --flag` passes the separator on, npm does not. */
function withoutSeparator(args) {
  return args[0] === '--' ? args.slice(1) : args
}

/** Puts Node 24 and pnpm 11 on PATH: the machine's own where new enough, else from npm into .cache/toolchain. */
function provideToolchain() {
  const missing = []
  if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR) missing.push('node')
  if (majorOf('pnpm') !== PNPM_MAJOR) missing.push('pnpm')
  const bin = join(toolchain, 'node_modules', '.bin')
  const wanted = missing.map((name) => `${name}@${name === 'node' ? NODE_MAJOR : PNPM_MAJOR}`)
  const absent = missing.filter((name) => !existsSync(join(bin, windows ? `${name}.cmd` : name)))
  if (absent.length > 0) {
    console.error(`fetching ${wanted.join(' and ')} from npm …`)
    mkdirSync(toolchain, { recursive: true })
    writeFileSync(join(toolchain, 'package.json'), '{ "private": true }\n')
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', ...wanted]
    mustSucceed(
      spawnSync('npm', args, {
        cwd: toolchain,
        stdio: ['ignore', 'ignore', 'inherit'],
        shell: windows,
      }),
      'npm install',
    )
  }
  const path = missing.length > 0 ? `${bin}${delimiter}${process.env.PATH ?? ''}` : process.env.PATH
  return { ...process.env, PATH: path, NODE_NO_WARNINGS: process.env.NODE_NO_WARNINGS ?? '1' }
}

function majorOf(program) {
  const result = spawnSync(program, ['--version'], { encoding: 'utf8', shell: windows })
  return result.status === 0 ? Number(result.stdout.trim().split('.')[0]) : undefined
}

/** Installs the workspace, unless the lockfile and manifests are the ones installed last. */
function installWorkspace(environment) {
  const manifests = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']
  for (const folder of ['packages', 'examples']) {
    for (const name of readdirSync(join(root, folder)))
      manifests.push(join(folder, name, 'package.json'))
  }
  const hash = createHash('sha256')
  for (const file of manifests)
    if (existsSync(join(root, file))) hash.update(file).update(readFileSync(join(root, file)))
  const wanted = hash.digest('hex')
  const stamp = join(cache, 'install.stamp')
  if (
    existsSync(join(root, 'node_modules')) &&
    existsSync(stamp) &&
    readFileSync(stamp, 'utf8') === wanted
  )
    return
  console.error('installing the workspace from npm …')
  const args = ['install', '--frozen-lockfile', '--reporter=silent']
  const silent = spawnSync('pnpm', args, {
    cwd: root,
    env: environment,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: windows,
  })
  if (silent.status !== 0) {
    // Once more with its report: a silent failure helps nobody.
    const loud = spawnSync('pnpm', args.slice(0, -1), {
      cwd: root,
      env: environment,
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: windows,
    })
    mustSucceed(loud, 'pnpm install')
  }
  mkdirSync(cache, { recursive: true })
  writeFileSync(stamp, wanted)
}

function generateLexicons(environment) {
  const script = join(root, 'packages/xrpc/scripts/generate-lexicons.ts')
  mustSucceed(
    spawnSync('node', [script], {
      cwd: root,
      env: environment,
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: windows,
    }),
    'lexicon generation',
  )
}

function run(environment, args) {
  const child = spawn('node', args, { env: environment, stdio: 'inherit', shell: windows })
  // Ctrl-C reaches the whole process group; this process only waits for the child's own clean stop.
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.on(signal, () => signal === 'SIGTERM' && child.kill(signal))
  child.once('error', (error) => {
    console.error(`cannot run node: ${error.message}`)
    process.exitCode = 1
  })
  child.once('exit', (code) => {
    process.exitCode = code ?? 1
  })
}

function mustSucceed(result, what) {
  if (result.error !== undefined) throw new Error(`${what} could not run: ${result.error.message}`)
  if (result.status !== 0) {
    console.error(`${what} failed (exit ${result.status ?? result.signal})`)
    process.exit(1)
  }
}
