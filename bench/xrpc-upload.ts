import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** By how many MB the memory of an upload server has grown at most. */
export async function memoryOf(url: string): Promise<string> {
  return (await fetch(`${url}/memory`)).text()
}

/** One of the two servers of `xrpc-upload-server.ts`, in a process of its own. */
export async function startUploadServer(
  name: 'skywright' | 'reference',
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = join(import.meta.dirname, 'xrpc-upload-server.ts')
  const args = ['--conditions=@skywright/source', server, name]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
