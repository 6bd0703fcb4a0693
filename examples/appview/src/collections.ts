import { collection, did, text, uri } from '@skywright/appview-indexer'
import type {
  CollectionDeclaration,
  Column,
  IndexReader,
  NotificationInput,
  RecordObject,
  Row,
} from '@skywright/appview-indexer'
import { authorityOf } from './at-uri.ts'
import { listField, objectField, textField, typeOf } from './record-fields.ts'
import { searchTermsOf } from './search-terms.ts'

/** Checks a record against its lexicon; throws when it does not match. */
export type RecordValidator = (nsid: string, record: unknown) => unknown

type Text = Column<string | undefined>
type ProfileColumns = { readonly displayName: Text; readonly description: Text }
type PostColumns = {
  readonly text: Text
  /** Tags, mentions, links and languages as words of the full-text index. */
  readonly terms: Text
  readonly replyParent: Text
  readonly replyRoot: Text
  readonly quote: Text
  /** `image` or `video`. */
  readonly media: Text
}
type ReactionColumns = { readonly subject: Column<string> }
type GeneratorColumns = { readonly displayName: Text }

/** The collections of this AppView by the name that queries use. */
export type AppCollections = {
  readonly profile: CollectionDeclaration<ProfileColumns>
  readonly post: CollectionDeclaration<PostColumns>
  readonly like: CollectionDeclaration<ReactionColumns>
  readonly repost: CollectionDeclaration<ReactionColumns>
  readonly follow: CollectionDeclaration<ReactionColumns>
  readonly block: CollectionDeclaration<ReactionColumns>
  readonly generator: CollectionDeclaration<GeneratorColumns>
}

/** Everything that reads: the index of this AppView. */
export type AppIndex = IndexReader<AppCollections>
export type ProfileRow = Row<ProfileColumns>
export type PostRow = Row<PostColumns>
export type ReactionRow = Row<ReactionColumns>
export type GeneratorRow = Row<GeneratorColumns>

/** Mentions beyond these notify nobody: a post has 300 graphemes. */
const MAX_MENTIONS_NOTIFIED = 50

/** The record that a post embeds, directly or beside media. */
function quotedBy(record: RecordObject): unknown {
  const embed = objectField(record, 'embed')
  if (typeOf(embed) === 'app.bsky.embed.record') return embed?.['record']
  if (typeOf(embed) === 'app.bsky.embed.recordWithMedia')
    return objectField(embed, 'record')?.['record']
  return undefined
}

/** What kind of media a post shows. */
function mediaOf(record: RecordObject): 'image' | 'video' | undefined {
  const embed = objectField(record, 'embed')
  const media =
    typeOf(embed) === 'app.bsky.embed.recordWithMedia' ? objectField(embed, 'media') : embed
  const type = typeOf(media)
  if (type === 'app.bsky.embed.images' || type === 'app.bsky.embed.gallery') return 'image'
  return type === 'app.bsky.embed.video' ? 'video' : undefined
}

/** Accounts that the facets of a post mention. */
function mentionsOf(record: unknown): readonly string[] {
  const dids = new Set<string>()
  for (const facet of listField(record, 'facets'))
    for (const feature of listField(facet, 'features')) {
      const mentioned = textField(feature, 'did')
      if (typeOf(feature) === 'app.bsky.richtext.facet#mention' && mentioned !== undefined)
        dids.add(mentioned)
    }
  return [...dids].slice(0, MAX_MENTIONS_NOTIFIED)
}

/** A post notifies each account once, for the strongest reason. */
function postNotifications(row: {
  readonly uri: string
  readonly replyParent: string | undefined
  readonly replyRoot: string | undefined
  readonly quote: string | undefined
  readonly record: RecordObject | undefined
}): readonly NotificationInput[] {
  const byRecipient = new Map<string, NotificationInput>()
  const add = (recipient: string, reason: string, subject: string): void => {
    if (!byRecipient.has(recipient)) byRecipient.set(recipient, { recipient, reason, subject })
  }
  for (const ancestor of [row.replyParent, row.replyRoot])
    if (ancestor !== undefined) add(authorityOf(ancestor), 'reply', ancestor)
  if (row.quote !== undefined) add(authorityOf(row.quote), 'quote', row.quote)
  for (const mentioned of mentionsOf(row.record)) add(mentioned, 'mention', row.uri)
  return [...byRecipient.values()]
}

/** A like or repost notifies the author of its subject, and the one whose repost led to it. */
function reactionNotifications(
  reason: 'like' | 'repost',
  row: { readonly subject: string; readonly record: RecordObject | undefined },
): readonly NotificationInput[] {
  const author = authorityOf(row.subject)
  const notifications: NotificationInput[] = [{ recipient: author, reason, subject: row.subject }]
  const via = textField(objectField(row.record, 'via'), 'uri')
  if (via?.startsWith('at://did:') === true && authorityOf(via) !== author)
    notifications.push({
      recipient: authorityOf(via),
      reason: `${reason}-via-repost`,
      subject: via,
    })
  return notifications
}

// Reactions keep their whole record (layout `document`): listNotifications answers record and CID of each.

/** What this AppView indexes of each collection. */
export function declareCollections(validateRecord: RecordValidator): AppCollections {
  const validate =
    (nsid: string) =>
    (record: RecordObject): void => {
      validateRecord(nsid, record)
    }
  return {
    profile: collection('app.bsky.actor.profile', {
      rkey: 'self',
      validate: validate('app.bsky.actor.profile'),
      columns: { displayName: text('displayName'), description: text('description') },
      search: ['displayName', 'description'],
      links: false,
    }),
    post: collection('app.bsky.feed.post', {
      validate: validate('app.bsky.feed.post'),
      columns: {
        text: text('text'),
        terms: text((record) => searchTermsOf(record)),
        replyParent: uri('reply.parent'),
        replyRoot: uri('reply.root'),
        quote: uri(quotedBy),
        media: text(mediaOf),
      },
      search: ['text', 'terms'],
      links: ['replyParent', 'quote'],
      counters: { postsCount: 'did', replyCount: 'replyParent', quoteCount: 'quote' },
      notify: postNotifications,
      indexes: [
        ['did', '-sortAt'],
        ['did', 'media', '-sortAt'],
        ['replyParent', 'sortAt'],
        ['quote', '-sortAt'],
      ],
    }),
    like: collection('app.bsky.feed.like', {
      validate: validate('app.bsky.feed.like'),
      columns: { subject: uri('subject', { required: true }) },
      unique: ['subject'],
      links: ['subject'],
      counters: { likeCount: 'subject' },
      notify: (row) => reactionNotifications('like', row),
      indexes: [
        ['subject', '-sortAt'],
        ['did', '-sortAt'],
      ],
    }),
    repost: collection('app.bsky.feed.repost', {
      validate: validate('app.bsky.feed.repost'),
      columns: { subject: uri('subject', { required: true }) },
      unique: ['subject'],
      links: ['subject'],
      counters: { repostCount: 'subject' },
      notify: (row) => reactionNotifications('repost', row),
      indexes: [
        ['subject', '-sortAt'],
        ['did', '-sortAt'],
      ],
    }),
    follow: collection('app.bsky.graph.follow', {
      validate: validate('app.bsky.graph.follow'),
      columns: { subject: did('subject', { required: true }) },
      unique: ['subject'],
      links: ['subject'],
      counters: { followersCount: 'subject', followsCount: 'did' },
      notify: (row) => [{ recipient: row.subject, reason: 'follow', subject: row.subject }],
      indexes: [
        ['subject', '-sortAt'],
        ['did', '-sortAt'],
      ],
    }),
    block: collection('app.bsky.graph.block', {
      validate: validate('app.bsky.graph.block'),
      columns: { subject: did('subject', { required: true }) },
      unique: ['subject'],
      links: ['subject'],
    }),
    generator: collection('app.bsky.feed.generator', {
      validate: validate('app.bsky.feed.generator'),
      columns: { displayName: text('displayName') },
      links: false,
      indexes: [['did', '-sortAt']],
    }),
  }
}
