/** A visitor without a browser: keeps cookies, sends forms as browsers do, and follows no redirect. */
export interface Visitor {
  get(path: string): Promise<Page>
  /** Sends a form. `headers` replaces those a browser would send from this site. */
  post(
    path: string,
    fields: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Page>
  /** The cookies this visitor holds, as sent. */
  cookies(): string
}

export interface Page {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export function createVisitor(url: string): Visitor {
  const jar = new Map<string, string>()
  const cookies = (): string => [...jar].map(([name, value]) => `${name}=${value}`).join('; ')

  async function send(path: string, init: RequestInit): Promise<Page> {
    const headers = new Headers(init.headers)
    if (jar.size > 0) headers.set('cookie', cookies())
    const response = await fetch(new URL(path, url), { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  return {
    get: async (path) => send(path, {}),
    post: async (path, fields, headers = { origin: url }) =>
      send(path, { method: 'POST', body: new URLSearchParams(fields), headers }),
    cookies,
  }
}

/** The boards that `/live` sends, as markup. */
export async function* readLive(url: string, signal: AbortSignal): AsyncGenerator<string, void> {
  const response = await fetch(new URL('/live', url), { signal })
  if (response.body === null) throw new Error('no stream')
  let text = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const events = text.split('\n\n')
    text = events.pop() ?? ''
    for (const event of events)
      if (event.startsWith('data: ')) yield JSON.parse(event.slice('data: '.length)) as string
  }
}
