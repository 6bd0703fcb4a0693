import type { HeaderReader, XrpcRequest } from './request.ts'

/** A Web request in the router's own shape. */
export function fromWebRequest(request: Request, ip?: string): XrpcRequest {
  return new WebRequest(request, ip)
}

class WebRequest implements XrpcRequest {
  readonly method: string
  readonly url: string
  readonly ip: string | undefined
  readonly #request: Request

  constructor(request: Request, ip: string | undefined) {
    this.#request = request
    this.method = request.method
    this.ip = ip
    const { pathname, search } = new URL(request.url)
    this.url = pathname + search
  }

  get headers(): HeaderReader {
    return this.#request.headers
  }

  get body(): AsyncIterable<Uint8Array> | null {
    return this.#request.body
  }

  get signal(): AbortSignal {
    return this.#request.signal
  }
}
