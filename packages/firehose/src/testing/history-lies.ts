import { createTidClock } from '@skywright/repo'
import type { CommitEvent, IdentityEvent } from '../event.ts'
import type { ChainPolicy } from '../verify/verifier.ts'
import { resigned, type LieContext } from './lie.ts'

/** What each policy must say to an event, such as `accepted` or `rejected stale-rev`. */
export type ToldOutcome = Readonly<Record<ChainPolicy, string>>

/** An event of a {@link HistoryLie}, true or false, in the order it is told. */
export interface ToldEvent {
  readonly event: CommitEvent | IdentityEvent
  /** Name of the host that tells it. */
  readonly host: string
  /** Of a commit. */
  readonly outcome?: ToldOutcome
}

/** A lie that shows only against what came before it: each of its events would hold by itself. */
export interface HistoryLie {
  readonly name: string
  /** Makes the events, none of them sent yet. The account's state must be known to the verifier. */
  readonly tell: (context: LieContext) => Promise<readonly ToldEvent[]>
}

function same(outcome: string): ToldOutcome {
  return { consumer: outcome, relay: outcome, unchained: outcome }
}

/** Lies that need more than one event. */
export const historyLies: readonly HistoryLie[] = [
  {
    name: 'fork',
    tell: async (context) => {
      const { network, account } = context
      const host = account.host.hostname
      const one = await network.write(account)
      const rev = network.clock.next(one.rev)
      const other = { ...resigned(one, context, { rev }), rev }
      const next = await network.write(account)
      // Both signed by the account. Whoever adopted the fork sees the honest branch as the one that does not follow.
      const forked = 'discontinuous since-mismatch'
      return [
        { event: one, host, outcome: same('accepted') },
        { event: other, host, outcome: { consumer: forked, relay: forked, unchained: 'accepted' } },
        {
          event: next,
          host,
          outcome: { consumer: 'accepted', relay: forked, unchained: 'accepted' },
        },
      ]
    },
  },
  {
    name: 'stale mirror',
    tell: async ({ network, account }) => {
      const host = account.host.hostname
      const events = [
        await network.write(account),
        await network.write(account),
        await network.write(account),
      ]
      return [
        ...events.map((event) => ({ event, host, outcome: same('accepted') })),
        ...events.map((event) => ({ event, host, outcome: same('rejected stale-rev') })),
        { event: await network.write(account), host, outcome: same('accepted') },
      ]
    },
  },
  {
    name: 'migrated host',
    tell: async (context) => {
      const { network, account } = context
      const before = account.host.hostname
      const one = await network.write(account)
      const moved = network.migrate(account)
      const after = account.host.hostname
      const next = await network.write(account)
      const rev = createTidClock({ now: network.now, clockId: 1 }).next(next.rev)
      return [
        { event: one, host: before, outcome: same('accepted') },
        { event: moved, host: after },
        {
          event: { ...resigned(next, context, { rev }), rev },
          host: before,
          outcome: same('rejected wrong-host'),
        },
        { event: next, host: after, outcome: same('accepted') },
      ]
    },
  },
]
