// Packs every built package, installs the tarballs into an empty project the way a stranger would, and imports every
// entry point there: a dependency that only the workspace provides is found here. Part of `pnpm check`, after the builds.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, unknown>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** Peers that an adapter needs at run time; native ones stay out. */
const PEERS_TO_INSTALL = ['express', 'pg', 'ws']

const root: string = join(import.meta.dirname, '..')
const project: string = mkdtempSync(join(tmpdir(), 'skywright-packed-'))
const tarballs: string = join(project, 'tarballs')
mkdirSync(tarballs)

try {
  const manifests: Manifest[] = []
  for (const folder of readdirSync(join(root, 'packages'))) {
    const directory = join(root, 'packages', folder)
    // Our own manifests.
    manifests.push(JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest)
    run('pnpm', ['pack', '--pack-destination', tarballs], directory)
  }
  const files = readdirSync(tarballs)
  const local = Object.fromEntries(
    manifests.map(({ name }) => {
      const prefix = `${name.replace('@', '').replace('/', '-')}-`
      const file = files.find((candidate) => candidate.startsWith(prefix))
      if (file === undefined) throw new Error(`no tarball of ${name} among ${files.join(', ')}`)
      return [name, `file:${join(tarballs, file)}`]
    }),
  )
  const peers = Object.fromEntries(
    manifests
      .flatMap(({ peerDependencies = {} }) => Object.entries(peerDependencies))
      .filter(([name]) => PEERS_TO_INSTALL.includes(name)),
  )
  const manifest = {
    private: true,
    type: 'module',
    dependencies: { ...local, ...peers },
    overrides: local,
  }
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest))
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], project)

  const entries = manifests.flatMap(({ name, exports }) =>
    Object.keys(exports)
      .filter((path) => path !== './package.json')
      .map((path) => name + path.slice(1)),
  )
  const script = entries
    .map(
      (entry) =>
        `if (Object.keys(await import('${entry}')).length === 0) throw new Error('${entry} exports nothing')`,
    )
    .join('\n')
  writeFileSync(join(project, 'import-all.js'), script)
  run(process.execPath, ['import-all.js'], project)
  console.log(`${entries.length} entry points of ${manifests.length} packed packages import`)
} finally {
  rmSync(project, { recursive: true, force: true })
}

function run(command: string, args: readonly string[], cwd: string): void {
  const env = { ...process.env, NODE_OPTIONS: '' }
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env,
    shell: process.platform === 'win32',
  })
  if (result.status === 0) return
  throw new Error(`${command} ${args.join(' ')} failed in ${cwd}: ${result.stdout}${result.stderr}`)
}
