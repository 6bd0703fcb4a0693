import type { LexiconCatalog } from '../src/catalog.ts'
import type { AtprotoDocuments } from '../src/lexicons/registry.ts'
import { isVariant } from '../src/variant.ts'
import { subscribe } from '../src/subscribe.ts'
import type { Router } from '../src/router.ts'
import type { Client } from '../src/client.ts'
declare const router: Router<AtprotoDocuments>
declare const lexicons: LexiconCatalog<AtprotoDocuments>
declare const client: Client<AtprotoDocuments>
declare const auth: () => Promise<{ did: string }>
router.add('com.atproto.repo.createRecord', {
  auth,
  handler: async ({ input, auth }) => {
    const did: string = auth.did
    const r: string = input.repo
    return { uri: 'at://x' + did + r, cid: 'y' }
  },
})
router.add('app.bsky.feed.getTimeline', {
  handler: async ({ params, auth, error }) => {
    const n: number = params.limit
    const u: undefined = auth
    // @ts-expect-error undeclared error name
    if (n === 4) throw error('Nope')
    return { feed: [], u }
  },
})
router.add('app.bsky.actor.getProfile', {
  // @ts-expect-error wrong
  handler: async () => ({ did: 4 }),
})
router.add('com.atproto.sync.subscribeRepos', {
  handler: async function* ({ params, signal }) {
    const c: number | undefined = params.cursor
    if (signal.aborted || c) yield new Uint8Array()
    yield { $type: '#info', name: 'OutdatedCursor' }
  },
})
router.add('com.atproto.repo.uploadBlob', {
  handler: async ({ input }) => {
    for await (const chunk of input) void chunk.length
    return { blob: { $type: 'blob' as const, ref: { $link: 'x' }, mimeType: 'x', size: 3 } }
  },
})
router.add('com.atproto.sync.getRepo', {
  handler: async ({ params }) => {
    const d: `did:${string}:${string}` = params.did
    return new TextEncoder().encode(d)
  },
})
// @ts-expect-error unknown
router.add('com.atproto.sync.getRepoo', { handler: async () => new Uint8Array() })
const t = await client.query('app.bsky.feed.getPostThread', { uri: 'at://' + 'x' })
if (t.thread.$type === 'app.bsky.feed.defs#threadViewPost' && 'post' in t.thread) {
  const h: string = t.thread.post.author.handle
  const deeper = t.thread.replies?.[0]
  if (deeper && deeper.$type === 'app.bsky.feed.defs#threadViewPost' && 'post' in deeper) {
    const x: number | undefined = deeper.post.likeCount
    void [h, x]
  }
}
if (isVariant(t.thread, 'app.bsky.feed.defs#threadViewPost')) {
  const h: string = t.thread.post.author.handle
  // @ts-expect-error of another variant
  void [h, t.thread.blocked]
} else if (isVariant(t.thread, 'app.bsky.feed.defs#blockedPost')) {
  void t.thread.blocked
}
// A record inside a view is of any type until it is checked.
const feed = await client.query('app.bsky.feed.getTimeline')
for (const { post } of feed.feed) {
  // @ts-expect-error not checked yet
  const unchecked: string = post.record['text']
  const checked = lexicons.validateRecord('app.bsky.feed.post', post.record)
  const text: string = checked.text
  const root: string | undefined = checked.reply?.root.uri
  void [unchecked, text, root]
}
for await (const message of subscribe({
  service: '',
  lexicons,
  nsid: 'com.atproto.label.subscribeLabels',
})) {
  if (message.$type === 'com.atproto.label.subscribeLabels#labels') {
    const n: number = message.seq
    void n
  } else {
    const n: string = message.name
    void n
  }
}
await client.procedure('com.atproto.repo.createRecord', { repo: 'a', collection: 'x', record: {} })
export type C = LexiconCatalog<AtprotoDocuments>
