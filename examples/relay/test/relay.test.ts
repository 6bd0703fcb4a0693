import type { CommitEvent, RepoEvent } from '@skywright/firehose'
import { describe, expect, it } from 'vitest'
import { startTestNetwork } from './support/relay.ts'
import { subscribe } from './support/subscriber.ts'

function commits(events: readonly RepoEvent[]): CommitEvent[] {
  return events.filter((event) => event.type === 'commit')
}

describe('a relay', () => {
  it('merges two hosts into one verified sequence and replays it', async () => {
    await using network = await startTestNetwork()
    const [one, two] = [await network.startHost(), await network.startHost()]
    await network.requestCrawl(one.hostname)
    await network.requestCrawl(two.hostname)
    await using live = await subscribe(network.relay.url)
    const [alice, bob] = [await one.createAccount(), await two.createAccount()]
    const sent: string[] = []
    for (let i = 0; i < 20; i++) {
      sent.push((await one.post(alice, `a${String(i)}`)).rev)
      sent.push((await two.post(bob, `b${String(i)}`)).rev)
    }
    await live.until((heard) => commits(heard.repoEvents()).length === 42, '42 commits')
    const events = live.repoEvents()
    expect(events).toHaveLength(46)
    expect(events.every((event, i) => i === 0 || event.seq > (events[i - 1]?.seq ?? 0))).toBe(true)
    const revs = (did: string): string[] =>
      commits(events)
        .filter((event) => event.did === did)
        .map((event) => event.rev)
    for (const did of [alice.did, bob.did]) {
      expect(revs(did)).toHaveLength(21)
      expect(revs(did)).toEqual(revs(did).toSorted())
    }
    const heard = new Set(commits(events).map((event) => event.rev))
    expect(sent.filter((rev) => !heard.has(rev))).toEqual([])

    await using replay = await subscribe(network.relay.url, 0)
    await replay.until((heard) => heard.repoEvents().length === 46, 'a replay')
    expect(replay.repoEvents()).toEqual(events)
    const middle = events[22]?.seq ?? 0
    await using rest = await subscribe(network.relay.url, middle)
    await rest.until((heard) => heard.repoEvents().length === 23, 'the rest')
    expect(rest.repoEvents()).toEqual(events.slice(23))
  })
})
