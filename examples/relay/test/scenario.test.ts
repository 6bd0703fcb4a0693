import {
  commitLies,
  playRelayScenario,
  serveSimulatedNetwork,
  SimulatedNetwork,
} from '@skywright/firehose/testing'
import { openWebSocket } from '@skywright/firehose/ws'
import { expect, it } from 'vitest'
import { startTestNetwork } from './support/relay.ts'

it('passes every truth and no lie of a network of liars, and its reports say so', async () => {
  let now = Date.now() - 60_000
  const network = await SimulatedNetwork.create({
    seed: 5,
    hosts: 3,
    accounts: 0,
    // Stays behind the relay's clock: a revision is not of the future unless that is the lie.
    now: () => now++,
  })
  await using served = await serveSimulatedNetwork(network)
  await using relays = await startTestNetwork({ plcUrl: served.plcUrl })
  const { missing, forged, ledger, told } = await playRelayScenario({
    relay: relays.relay.url,
    network,
    served,
    rounds: 4 * commitLies.length,
    open: openWebSocket,
    signal: AbortSignal.timeout(20_000),
  })
  expect(missing).toEqual([])
  expect(forged).toEqual([])
  // Every kind of lie was told, but for the two that need a commit of a rare kind.
  expect(told.size).toBeGreaterThanOrEqual(commitLies.length + 1)
  expect(ledger.size).toBe(3)
  for (const [hostname, expected] of ledger) {
    const { outcomes = [], incidents = [] } = await relays.client.query(
      'io.github.skywright.relay.getHostReport',
      { hostname, limit: 100 },
    )
    const reported = outcomes
      .filter(({ outcome }) => outcome !== 'connection')
      .map(({ outcome, reason, count }) => [
        reason === undefined ? outcome : `${outcome} ${reason}`,
        count,
      ])
    expect(Object.fromEntries(reported)).toEqual(Object.fromEntries(expected))
    const lies = [...expected].filter(([outcome]) => outcome !== 'accepted')
    const total = lies.reduce((sum, [, count]) => sum + count, 0)
    expect(total).toBeGreaterThan(20)
    expect(incidents).toHaveLength(Math.min(100, total))
  }
})
