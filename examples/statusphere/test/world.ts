import { AtpAgent } from '@atproto/api'
import { startNetwork, type Network } from '@example/network'

/** The password of every account here. */
export const PASSWORD = 'a-long-password'

/** Creates `<name>.pds1.test`, or at the PDS of another index, and signs in there with a client written elsewhere. */
export async function createAccount(network: Network, name: string, pds = 0): Promise<AtpAgent> {
  const { url, handleDomain } = network.pds[pds]!
  const agent = new AtpAgent({ service: url })
  const email = `${name}@example.com`
  await agent.createAccount({ handle: `${name}.${handleDomain}`, email, password: PASSWORD })
  return agent
}

/** Writes any record as a status, past the checks of the page. */
export async function writeStatus(agent: AtpAgent, status: string): Promise<string> {
  const { data } = await agent.com.atproto.repo.createRecord({
    repo: agent.assertDid,
    collection: 'xyz.statusphere.status',
    record: { $type: 'xyz.statusphere.status', status, createdAt: new Date().toISOString() },
  })
  return data.uri
}

export { startNetwork, type Network }
