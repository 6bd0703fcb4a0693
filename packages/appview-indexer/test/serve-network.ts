import type { SimulatedAccount, SimulatedNetwork } from '@skywright/firehose/testing'
import { createMemoryResolver } from '@skywright/identity/testing'

/** The simulated network over HTTP, and the identities of its accounts. */
export function serve(network: SimulatedNetwork): {
  fetch: typeof globalThis.fetch
  resolver: ReturnType<typeof createMemoryResolver>
  /** Puts into the directory where an account is now. */
  announce: (account: SimulatedAccount) => void
} {
  const resolver = createMemoryResolver()
  const announce = (account: SimulatedAccount): void => {
    resolver.setAccount({
      did: account.did,
      signingKey: account.key.publicKey,
      pds: account.host.url,
      handle: `${account.did.slice(-8)}.test`,
    })
  }
  for (const account of network.accounts) announce(account)
  const fetch = async (input: string | URL | Request): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input)
    const method = url.pathname.replace('/xrpc/', '')
    if (method === 'com.atproto.sync.listRepos') {
      const from = Number(url.searchParams.get('cursor') ?? 0)
      const page = network.accounts.slice(from, from + 3)
      const next = from + 3 < network.accounts.length ? { cursor: String(from + 3) } : {}
      return Response.json({ repos: page.map((account) => ({ did: account.did })), ...next })
    }
    const account = network.accounts.find((one) => one.did === url.searchParams.get('did'))
    if (account === undefined || !account.active)
      return Response.json({ error: 'RepoTakendown' }, { status: 400 })
    const chunks: Uint8Array<ArrayBuffer>[] = []
    for await (const chunk of account.repo.export()) chunks.push(new Uint8Array(chunk))
    return new Response(new Blob(chunks))
  }
  return { fetch, resolver, announce }
}
