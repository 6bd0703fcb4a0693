/** Sends an HTTP request. The global `fetch` is one; a session, a safe fetch or a test double another. */
export type FetchLike = (url: string, init: RequestInit) => Promise<Response>
