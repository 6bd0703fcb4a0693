import type { ResolveTxt } from '@skywright/identity'

/** A DNS of our own for `.test` names, which the world's DNS never answers. */
export interface TestDns {
  readonly resolveTxt: ResolveTxt
  /** From now on the PDS at `url` answers for every handle below `domain`. */
  delegate(domain: string, url: string): void
}

/** Answers `_atproto.<handle>` by asking the PDS that the handle's domain is delegated to. */
export function createTestDns(): TestDns {
  const zones = new Map<string, string>()
  return {
    delegate(domain, url) {
      zones.set(domain, url)
    },
    async resolveTxt(name, options = {}) {
      const handle = name.replace(/^_atproto\./, '')
      const url = zones.get(handle.slice(handle.indexOf('.') + 1))
      if (url === undefined) throw notFound(name)
      const query = new URLSearchParams({ handle })
      const response = await fetch(`${url}/xrpc/com.atproto.identity.resolveHandle?${query}`, {
        signal: options.signal ?? null,
      })
      if (!response.ok) {
        await response.body?.cancel()
        throw notFound(name)
      }
      const { did } = (await response.json()) as { readonly did: string }
      return [[`did=${did}`]]
    },
  }
}

/** What `node:dns` throws for a name without records. */
function notFound(name: string): Error {
  return Object.assign(new Error(`queryTxt ENOTFOUND ${name}`), { code: 'ENOTFOUND' })
}
