import { collection, datetime, did, didOf, integer, text, uri } from '../src/index.ts'
import type { GateLookup, CollectionDeclaration, Column, NotificationInput } from '../src/index.ts'

const POST = 'app.bsky.feed.post'
const LIKE = 'app.bsky.feed.like'
const REPOST = 'app.bsky.feed.repost'
const FOLLOW = 'app.bsky.graph.follow'
const PROFILE = 'app.bsky.actor.profile'
const ITEM = 'app.bsky.graph.listitem'
const GATE = 'app.bsky.feed.threadgate'
export const NSID: Readonly<
  Record<'POST' | 'LIKE' | 'REPOST' | 'FOLLOW' | 'PROFILE' | 'ITEM' | 'GATE', string>
> = { POST, LIKE, REPOST, FOLLOW, PROFILE, ITEM, GATE }

type Text = Column<string | undefined>
type Edge = CollectionDeclaration<{ readonly subject: Column<string> }>

/** The declared collections with their types. */
export type SocialCollections = {
  readonly profile: CollectionDeclaration<{ readonly displayName: Text }>
  readonly post: CollectionDeclaration<{
    readonly text: Column<string>
    readonly createdAt: Column<number | undefined>
    readonly length: Column<number | undefined>
    readonly parent: Text
    readonly root: Text
    readonly quote: Text
  }>
  readonly like: Edge
  readonly repost: Edge
  readonly follow: Edge
  readonly gate: CollectionDeclaration<Record<never, never>>
  readonly item: CollectionDeclaration<{
    readonly list: Column<string>
    readonly subject: Column<string>
  }>
}

function notifySubject(reason: string) {
  return (row: { subject: string }): NotificationInput[] => {
    const recipient = didOf(row.subject)
    return recipient === undefined ? [] : [{ recipient, reason, subject: row.subject }]
  }
}

/** A reply counts when its root is the root its parent names, and the root's gate lets its author in. */
function mayReply(
  row: { did: string; root: string | undefined; parent: string | undefined },
  lookup: GateLookup,
): boolean {
  const { did: author, root, parent } = row
  if (root === undefined || parent === undefined) return true
  const reply = lookup.record(parent)?.['reply']
  const parentRoot =
    typeof reply === 'object' ? JSON.stringify(reply).includes(root) : root === parent
  if (lookup.record(parent) !== undefined && !parentRoot) return false
  const owner = didOf(root)
  if (owner === undefined || owner === author) return true
  const gate = lookup.record(root.replace(POST, GATE))
  const allow = gate?.['allow']
  if (allow === undefined) return true
  return (
    allow === 'following' &&
    lookup.linked({ from: 'follow', path: 'subject', did: owner, to: author })
  )
}

/** A small social app that uses every facet of a declaration. */
export function socialCollections(): SocialCollections {
  return {
    profile: collection(PROFILE, {
      rkey: 'self',
      columns: { displayName: text('displayName') },
      search: ['displayName'],
    }),
    post: collection(POST, {
      columns: {
        text: text('text', { required: true }),
        createdAt: datetime('createdAt'),
        length: integer((record) => String(record['text']).length),
        parent: uri('reply.parent'),
        root: uri('reply.root'),
        quote: uri('embed.record'),
      },
      validate: (record) => (record['text'] === 'bad' ? 'text is bad' : undefined),
      counters: {
        postsCount: 'did',
        replyCount: { on: 'parent', where: (row) => row.parent !== undefined },
        quoteCount: 'quote',
      },
      notify: (row) => {
        const recipient = didOf(row.parent)
        return recipient === undefined ? [] : [{ recipient, reason: 'reply', subject: row.parent }]
      },
      gate: { dependsOn: ['gate', 'post', 'follow'], allow: mayReply },
      search: ['text'],
      indexes: [['did', '-sortAt'], ['root', 'sortAt'], ['sortAt']],
    }),
    like: collection(LIKE, {
      layout: 'edge',
      columns: { subject: uri('subject', { required: true }) },
      unique: ['subject'],
      counters: { likeCount: 'subject' },
      notify: notifySubject('like'),
    }),
    repost: collection(REPOST, {
      columns: { subject: uri('subject', { required: true }) },
      unique: ['subject'],
      counters: { repostCount: 'subject' },
      notify: notifySubject('repost'),
      indexes: [['did', '-sortAt']],
    }),
    follow: collection(FOLLOW, {
      layout: 'edge',
      columns: { subject: did('subject', { required: true }) },
      unique: ['subject'],
      counters: { followersCount: 'subject', followsCount: 'did' },
      notify: notifySubject('follow'),
    }),
    gate: collection(GATE, { links: false }),
    item: collection(ITEM, {
      layout: 'edge',
      columns: {
        list: uri('list', { required: true }),
        subject: did('subject', { required: true }),
      },
      unique: ['list', 'subject'],
      counters: { itemCount: 'list' },
    }),
  }
}

export const strongRef = (target: string): { uri: string; cid: string } => ({
  uri: target,
  cid: 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
})
