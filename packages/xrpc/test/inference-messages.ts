import type { Router } from '../src/router.ts'
import type { AtprotoDocuments } from '../src/lexicons/registry.ts'
import type { LexiconCatalog, RegistryOf } from '../src/catalog.ts'
import type { MessageOf } from '../src/infer.ts'
import type { SubscriptionItem } from '../src/method.ts'
import { defineMethod } from '../src/router.ts'

// Compiling is the test: what a subscription may yield.
declare const router: Router<AtprotoDocuments>
declare const lexicons: LexiconCatalog<AtprotoDocuments>

interface Subscription {
  readonly lexicon: 1
  readonly id: 'a.b.c'
  readonly defs: {
    readonly main: {
      readonly type: 'subscription'
      readonly message: {
        readonly schema: { readonly type: 'union'; readonly refs: readonly ['a.b.d#x', 'a.b.c#y'] }
      }
    }
    readonly y: Text
  }
}
interface Other {
  readonly lexicon: 1
  readonly id: 'a.b.d'
  readonly defs: { readonly x: Text }
}
interface Text {
  readonly type: 'object'
  readonly required: readonly ['text']
  readonly properties: { readonly text: { readonly type: 'string' } }
}
type Foreign = RegistryOf<readonly [Subscription, Other]>

const nsid = 'com.atproto.sync.subscribeRepos'
const [did, time, seq] = ['did:web:a.test', '2026-11-28T00:00:00Z', 1]

router.add(nsid, {
  handler: async function* ({ signal }) {
    if (signal.aborted) return
    yield { $type: '#info', name: 'OutdatedCursor' }
    yield { $type: `${nsid}#info`, name: 'OutdatedCursor', message: 'x' }
    yield { $type: '#identity', seq, did, time }
    yield { $type: `${nsid}#account`, seq, did, time, active: true }
    yield new Uint8Array()
  },
})
router.add(nsid, {
  // @ts-expect-error a field of another type
  handler: async function* () {
    yield { $type: '#info', name: 3 }
  },
})
router.add(nsid, {
  // @ts-expect-error a field of another type
  handler: async function* () {
    yield { $type: `${nsid}#info`, name: 3 }
  },
})
router.add(nsid, {
  // @ts-expect-error a field that is missing
  handler: async function* () {
    yield { $type: '#identity', seq, time }
  },
})
router.add(nsid, {
  // @ts-expect-error an unknown name
  handler: async function* () {
    yield { $type: '#inof', name: 'OutdatedCursor' }
  },
})
router.add(nsid, {
  // @ts-expect-error a message of another subscription
  handler: async function* () {
    yield { $type: 'com.atproto.label.subscribeLabels#info', name: 'OutdatedCursor' }
  },
})
router.add(nsid, {
  // @ts-expect-error no name
  handler: async function* () {
    yield { name: 'OutdatedCursor' }
  },
})
router.add(
  defineMethod(lexicons, nsid, {
    auth: async ({ request }) => request.headers.get('authorization') ?? '',
    handler: async function* ({ auth }) {
      const name: string = auth
      yield { $type: '#info', name }
    },
  }),
)
router.add(
  defineMethod(lexicons, nsid, {
    // @ts-expect-error a field that is missing
    handler: async function* () {
      yield { $type: '#info' }
    },
  }),
)
// @ts-expect-error a message that another lexicon has
export const foreign: SubscriptionItem<Foreign, 'a.b.c'> = { $type: 'a.b.d#x', text: '' }
export const own: SubscriptionItem<Foreign, 'a.b.c'> = { $type: 'a.b.c#y', text: '' }
// @ts-expect-error a field that the message does not have
export const more: SubscriptionItem<Foreign, 'a.b.c'> = { $type: '#y', text: '', txet: '' }
// Receivers get whole names, and nothing else.
export const received: MessageOf<Foreign, 'a.b.c'> = { $type: 'a.b.c#y', text: '' }
// @ts-expect-error a fragment
export const fragment: MessageOf<Foreign, 'a.b.c'> = { $type: '#y', text: '' }
