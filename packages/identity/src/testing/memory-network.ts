import type { ResolveTxt } from '../handle/dns.ts'

/** What a page answers: a response, a failure, or something that decides each time. */
export type ScriptedPage = Response | Error | ((request: Request) => Response | Promise<Response>)

/** TXT records of a name. A record is its text, or the chunks that DNS splits a long one into. */
export type TxtRecords = readonly (string | readonly string[])[]

/** What a lookup of TXT records answers: records, a failure, or something that decides each time (or never answers). */
export type ScriptedTxt = TxtRecords | Error | (() => TxtRecords | Promise<TxtRecords>)

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
  /** Sets the TXT records of a name, or how its lookup fails. */
  readonly setTxt: (name: string, records: ScriptedTxt) => void
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
  const txt = new Map<string, ScriptedTxt>()
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
      const scripted = txt.get(name)
      if (scripted === undefined) throw dnsError('ENOTFOUND')
      if (scripted instanceof Error) throw scripted
      const records = typeof scripted === 'function' ? await scripted() : scripted
      return records.map((record) => (typeof record === 'string' ? [record] : [...record]))
    },
    setPage: (url, page) => void pages.set(url, page),
    setServer: (origin, answer) => void servers.set(origin.replace(/\/+$/, ''), answer),
    setTxt: (name, records) => void txt.set(name, records),
    remove(urlOrName) {
      pages.delete(urlOrName)
      txt.delete(urlOrName)
    },
    advance(ms) {
      nowMs += ms
    },
  }
}
