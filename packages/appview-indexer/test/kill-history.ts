import { createFakeNetwork } from '../src/testing/index.ts'
import type { FakeNetwork } from '../src/testing/index.ts'
import { NSID, strongRef } from './social.ts'

/** A history long enough to be killed in: posts, likes with duplicates, deletes, a takedown and a return. */
export function killHistory(): FakeNetwork {
  const network = createFakeNetwork()
  const accounts = Array.from({ length: 12 }, () => network.account())
  const posts: string[] = []
  const likes: string[] = []
  for (let n = 0; n < 1_200; n++) {
    const account = accounts[(n * 7) % accounts.length]!
    const post = posts[(n * 13) % Math.max(1, posts.length)]
    if (n % 4 === 0 || post === undefined)
      posts.push(
        account.create(NSID.POST, { text: `post ${n}`, createdAt: '2025-01-01T00:00:00Z' }),
      )
    else if (n % 31 === 0) account.create(NSID.POST, { text: 'bad' })
    else if (n % 17 === 0) {
      const uri = likes.pop()
      accounts.find(({ did }) => uri?.includes(did))?.delete(uri!)
    } else likes.push(account.create(NSID.LIKE, { subject: strongRef(post), n }, `l${n % 90}`))
    if (n % 400 === 399) accounts[3]!.setStatus(n % 800 === 799, 'takendown')
  }
  return network
}
