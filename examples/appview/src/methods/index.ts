import type { XrpcMethod } from '@skywright/xrpc'
import type { ActorLookup } from '../actor-lookup.ts'
import type { AppQuery } from '../app-query.ts'
import type { AppIndex } from '../collections.ts'
import type { BlobUrls } from '../images/url.ts'
import { getProfile } from './app.bsky.actor.getProfile.ts'
import { getProfiles } from './app.bsky.actor.getProfiles.ts'
import { getSuggestions } from './app.bsky.actor.getSuggestions.ts'
import { searchActors } from './app.bsky.actor.searchActors.ts'
import { searchActorsTypeahead } from './app.bsky.actor.searchActorsTypeahead.ts'
import { getActorLikes } from './app.bsky.feed.getActorLikes.ts'
import { getAuthorFeed } from './app.bsky.feed.getAuthorFeed.ts'
import { getFeedGenerator } from './app.bsky.feed.getFeedGenerator.ts'
import { getFeedGenerators } from './app.bsky.feed.getFeedGenerators.ts'
import { getLikes } from './app.bsky.feed.getLikes.ts'
import { getPosts } from './app.bsky.feed.getPosts.ts'
import { getPostThread } from './app.bsky.feed.getPostThread.ts'
import { getQuotes } from './app.bsky.feed.getQuotes.ts'
import { getRepostedBy } from './app.bsky.feed.getRepostedBy.ts'
import { getTimeline } from './app.bsky.feed.getTimeline.ts'
import { searchPosts } from './app.bsky.feed.searchPosts.ts'
import { getFollowers } from './app.bsky.graph.getFollowers.ts'
import { getFollows } from './app.bsky.graph.getFollows.ts'
import { getRelationships } from './app.bsky.graph.getRelationships.ts'
import { listNotifications } from './app.bsky.notification.listNotifications.ts'

/** What methods are made of. Each takes what it uses. */
export interface MethodParts {
  readonly index: AppIndex
  readonly urls: BlobUrls
  readonly actors: ActorLookup
  readonly query: AppQuery
}

/** Everything this AppView answers; the rest is 501. */
export function allMethods(parts: MethodParts): readonly XrpcMethod[] {
  return [
    getProfile(parts),
    getProfiles(parts),
    getSuggestions(parts),
    searchActors(parts),
    searchActorsTypeahead(parts),
    getActorLikes(parts),
    getAuthorFeed(parts),
    getFeedGenerator(parts),
    getFeedGenerators(parts),
    getLikes(parts),
    getPosts(parts),
    getPostThread(parts),
    getQuotes(parts),
    getRepostedBy(parts),
    getTimeline(parts),
    searchPosts(parts),
    getFollowers(parts),
    getFollows(parts),
    getRelationships(parts),
    listNotifications(parts),
  ]
}
