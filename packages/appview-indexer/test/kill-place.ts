import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { IndexStore } from '../src/index.ts'
import { openPostgresIndexStore } from '../src/stores/postgres.ts'
import { openSqliteIndexStore } from '../src/stores/sqlite.ts'
import type { TestServer } from './postgres-server.ts'

/** An empty index somewhere, reachable from other processes too. */
export interface KillPlace extends AsyncDisposable {
  readonly address: string
}

/** Opens the store at an address: a connection string, or the path of a file. */
export function openKillStore(address: string): IndexStore {
  return address.startsWith('postgres:')
    ? openPostgresIndexStore({ connectionString: address })
    : openSqliteIndexStore(address)
}

export async function placeInFile(): Promise<KillPlace> {
  const folder = mkdtempSync(join(tmpdir(), 'index-kill-'))
  return {
    address: join(folder, 'index.db'),
    [Symbol.asyncDispose]: async () => {
      rmSync(folder, { recursive: true })
    },
  }
}

export async function placeInDatabase(server: TestServer): Promise<KillPlace> {
  const { connectionString, drop } = await server.create()
  return { address: connectionString, [Symbol.asyncDispose]: drop }
}
