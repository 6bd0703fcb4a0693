import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Replaces a file in one step, durably: after a crash it holds the old text or the new one. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`
  {
    await using file = await open(temporary, 'w')
    await file.writeFile(text)
    await file.sync()
  }
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

/** Makes created, renamed and removed files of a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  // Some systems cannot open a folder; they also do not need this.
  if (process.platform === 'win32') return
  await using handle = await open(folder, 'r')
  await handle.sync()
}
