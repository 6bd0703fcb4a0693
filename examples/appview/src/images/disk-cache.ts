import { mkdir, readdir, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Files in a folder, the least recently used removed when their bytes exceed the limit. */
export interface DiskCache {
  get(name: string): Promise<Uint8Array | undefined>
  /** Keeps bytes under a name. A crash leaves the whole file or none. */
  put(name: string, bytes: Uint8Array): Promise<void>
  /** Bytes kept. */
  readonly size: number
}

export interface DiskCacheOptions {
  readonly directory: string
  readonly maxBytes: number
}

const UNFINISHED = '.part'

/** Opens a cache over what an earlier run left. Names must be safe as file names. */
export async function openDiskCache({ directory, maxBytes }: DiskCacheOptions): Promise<DiskCache> {
  await mkdir(directory, { recursive: true })
  const known = await listFiles(directory)
  /** Insertion order is order of use. */
  const sizes = new Map(known.map(({ name, size }) => [name, size]))
  let total = known.reduce((sum, { size }) => sum + size, 0)
  let unfinished = 0

  async function evict(): Promise<void> {
    for (const [name, size] of sizes) {
      if (total <= maxBytes) return
      sizes.delete(name)
      total -= size
      await unlink(join(directory, name)).catch(ignoreMissing)
    }
  }

  return {
    get size() {
      return total
    },
    async get(name) {
      const size = sizes.get(name)
      if (size === undefined) return undefined
      sizes.delete(name)
      sizes.set(name, size)
      try {
        return await readFile(join(directory, name))
      } catch {
        // Somebody emptied the folder: then it is not cached.
        if (sizes.delete(name)) total -= size
        return undefined
      }
    },
    async put(name, bytes) {
      if (bytes.length > maxBytes || sizes.has(name)) return
      const part = join(directory, `${name}.${unfinished++}${UNFINISHED}`)
      await writeFile(part, bytes)
      await rename(part, join(directory, name))
      if (!sizes.has(name)) total += bytes.length
      sizes.set(name, bytes.length)
      await evict()
    },
  }
}

/** Files by age, oldest first; what a crash left unfinished is removed. */
async function listFiles(
  directory: string,
): Promise<readonly { readonly name: string; readonly size: number }[]> {
  const files: { name: string; size: number; usedAt: number }[] = []
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    if (name.endsWith(UNFINISHED)) await unlink(path).catch(ignoreMissing)
    else {
      const { size, mtimeMs } = await stat(path)
      files.push({ name, size, usedAt: mtimeMs })
    }
  }
  return files.toSorted((a, b) => a.usedAt - b.usedAt)
}

function ignoreMissing(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
}
