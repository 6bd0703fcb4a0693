import type { SimulatedAccount } from '../../src/testing/index.ts'

/** What an account's repository holds: path → CID text. */
export async function contents(account: SimulatedAccount): Promise<Map<string, string>> {
  const all = new Map<string, string>()
  const collections = new Set(account.paths.map((path) => path.split('/')[0] ?? ''))
  for (const collection of collections) {
    for (const record of await account.repo.list(collection, { limit: 100_000 })) {
      all.set(`${collection}/${record.rkey}`, record.cid.toString())
    }
  }
  return all
}
