import type { DefinitionOf } from '@skywright/xrpc'
import type { AtprotoDocuments } from '@skywright/xrpc/lexicons'

/** A definition of a lexicon as this server answers it. */
type View<Id extends string, Name extends string> = DefinitionOf<
  AtprotoDocuments,
  Id,
  Name,
  'provide'
>

export type ProfileViewBasic = View<'app.bsky.actor.defs', 'profileViewBasic'>
export type ProfileView = View<'app.bsky.actor.defs', 'profileView'>
export type ProfileViewDetailed = View<'app.bsky.actor.defs', 'profileViewDetailed'>
export type ActorViewerState = View<'app.bsky.actor.defs', 'viewerState'>
export type Label = View<'com.atproto.label.defs', 'label'>
export type PostView = View<'app.bsky.feed.defs', 'postView'>
export type PostViewerState = View<'app.bsky.feed.defs', 'viewerState'>
export type FeedViewPost = View<'app.bsky.feed.defs', 'feedViewPost'>
export type ThreadViewPost = View<'app.bsky.feed.defs', 'threadViewPost'>
export type NotFoundPost = View<'app.bsky.feed.defs', 'notFoundPost'>
export type BlockedPost = View<'app.bsky.feed.defs', 'blockedPost'>
export type GeneratorView = View<'app.bsky.feed.defs', 'generatorView'>

/** An embed of a post view: a variant of an open union, named by its `$type`. */
export type EmbedView = NonNullable<PostView['embed']>
