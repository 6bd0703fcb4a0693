import type { ResolveTxt } from '../handle/dns.ts'

/** What a page answers: a response, a failure, or something that decides each time. */
export type ScriptedPage = Response | Error | ((request: Request) => Response | Promise<Response>)

/** A web, a DNS and a clock that do what the test tells them, and remember what they were asked. */
export interface MemoryNetwork {
  /** For the `fetch` option of resolvers and clients. Unknown URLs answer 404. */
  readonly fetch: typeof globalThis.fetch
  /** For the `resolveTxt` option. Unknown names do not exist. */
  readonly resolveTxt: ResolveTxt
  /** For the `now` option. */
  readonly now: () => number
  /** Every URL fetched, and `dns:` and the name of every lookup, in order. */
  readonly requests: readonly string[]
  /** Sets what a URL answers. A Response is answered again and again. */
  readonly setPage: (url: string, page: ScriptedPage) => void
  /** Answers every URL that begins with this (a whole server), where no page is set. */
  readonly setServer: (
    origin: string,
    answer: (request: Request) => Response | Promise<Response>,
  ) => void
  /**
   * Sets the TXT records of a name, or the error its lookup fails with. A record is its text, or the chunks that DNS
   * splits a long one into.
   */
  readonly setTxt: (name: string, records: readonly (string | readonly string[])[] | Error) => void
  /** Removes a page or TXT records. */
  readonly remove: (urlOrName: string) => void
  /** Moves the clock. */
  readonly advance: (ms: number) => void
}

/** Time at which a memory network begins unless told otherwise: 2026-01-01. */
const DEFAULT_START_MS = 1_767_225_600_000

/** An error as a DNS library throws it: `ETIMEOUT`, `ESERVFAIL`, `ECONNREFUSED`. */
export function dnsError(code: string): Error {
  return Object.assign(new Error(code), { code })
}

/** An empty network. */
export function createMemoryNetwork(options: { readonly startMs?: number } = {}): MemoryNetwork {
  let nowMs = options.startMs ?? DEFAULT_START_MS
  const pages = new Map<string, ScriptedPage>()
  const servers = new Map<string, (request: Request) => Response | Promise<Response>>()
  const txt = new Map<string, readonly (readonly string[])[] | Error>()
  const requests: string[] = []

  return {
    requests,
    now: () => nowMs,
    async fetch(input, init) {
      const request = new Request(input, init)
      request.signal.throwIfAborted()
      requests.push(request.url)
      const server = [...servers].find(([origin]) => request.url.startsWith(`${origin}/`))
      const page = pages.get(request.url) ?? server?.[1]
      if (page === undefined) return new Response('not found', { status: 404 })
      if (page instanceof Error) throw page
      return typeof page === 'function' ? page(request) : page.clone()
    },
    async resolveTxt(name, { signal } = {}) {
      await Promise.resolve()
      signal?.throwIfAborted()
      requests.push(`dns:${name}`)
      const records = txt.get(name)
      if (records === undefined) throw dnsError('ENOTFOUND')
      if (records instanceof Error) throw records
      return records
    },
    setPage: (url, page) => void pages.set(url, page),
    setServer: (origin, answer) => void servers.set(origin.replace(/\/+$/, ''), answer),
    setTxt(name, records) {
      const chunked = (record: string | readonly string[]): readonly string[] =>
        typeof record === 'string' ? [record] : [...record]
      txt.set(name, records instanceof Error ? records : records.map(chunked))
    },
    remove(urlOrName) {
      pages.delete(urlOrName)
      txt.delete(urlOrName)
    },
    advance(ms) {
      nowMs += ms
    },
  }
}
