import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'

/** Folder of the shared fixtures: beside the repository, or where `SKYWRIGHT_FIXTURES` says. */
const root =
  process.env['SKYWRIGHT_FIXTURES'] ??
  fileURLToPath(new URL('../../../../shared/fixtures', import.meta.url))

/** False (with a visible message) when the shared fixtures are not on this machine. */
export const haveFixtures: boolean = existsSync(root)
if (!haveFixtures) process.emitWarning(`skipped: no shared fixtures at ${root}`)

export function fixtureText(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

export function fixtureJson(path: string): unknown {
  return JSON.parse(fixtureText(path))
}

export function fixtureFiles(folder: string): string[] {
  return readdirSync(join(root, folder)).sort()
}

/** Lines of a vector file that are neither empty nor comments. */
export function fixtureLines(path: string): string[] {
  return fixtureText(path)
    .split('\n')
    .filter((line) => line.length > 0 && !line.startsWith('#'))
}
