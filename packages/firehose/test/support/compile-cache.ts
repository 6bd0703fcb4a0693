import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * For processes that are started again and again: their modules are compiled once. They have to call
 * `flushCompileCache()`, as who is killed never gets to it.
 */
export const compileCacheEnv: NodeJS.ProcessEnv = {
  ...process.env,
  NODE_COMPILE_CACHE: join(tmpdir(), 'skywright-compile-cache'),
}
