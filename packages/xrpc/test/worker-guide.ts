import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root: string = join(import.meta.dirname, '..')

/** Writes the Worker that the guide shows, and a router for it, and gives the Worker's path. */
export function writeGuideWorker(name: string): string {
  const guide = readFileSync(join(root, '../../docs/guides/calls-between-services.md'), 'utf8')
  const [code, ...more] = [...guide.matchAll(/^```js\n(.*?)^```/gms)].map(([, found]) => found)
  if (code === undefined || more.length > 0) throw new Error('the guide has one Worker')
  // Inside the package, so that its name and the tests resolve.
  const folder = join(root, '.cache', name)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  const router = "export { router } from '../../test/portable/worker-router.ts'\n"
  writeFileSync(join(folder, 'router.js'), router)
  const worker = join(folder, 'worker.js')
  writeFileSync(worker, code)
  return worker
}
