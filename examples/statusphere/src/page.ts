import { html, type Html } from './html.ts'
import type { StatusRow } from './status-index.ts'

/** Offered as buttons; any other emoji can be typed. */
const MOODS = [
  ...new Intl.Segmenter().segment('👍👎💙🥹😧😤🙃😉😎🤓🤨🥳😭🤯🫡💀✊🤘👀🧠🧑‍💻🥷🧌🦋🚀'),
].map(({ segment }) => segment)

/** Somebody who is signed in. */
export interface Viewer {
  readonly did: string
  readonly handle: string | undefined
  /** Their latest status. */
  readonly status: string | undefined
}

/** What everybody sees alike, and sees change. */
export interface BoardView {
  readonly statuses: readonly (StatusRow & { readonly handle: string | undefined })[]
  readonly counts: readonly { readonly status: string; readonly n: number }[]
}

/** The latest statuses and how often each emoji was used. */
export function renderBoard({ statuses, counts }: BoardView): Html {
  return html`<ul class="counts" aria-label="How often each was used">
      ${counts.map(({ status, n }) => html`<li>${status} <b>${n}</b></li>`)}
    </ul>
    <ol class="statuses" aria-label="Latest statuses">
      ${statuses.map(
        ({ uri, did, handle, status, sortAt }) =>
          html`<li data-uri="${uri}">
            <span class="mood">${status}</span>
            <span class="who" title="${did}">${name(did, handle)}</span>
            ${renderTime(sortAt)}
          </li>`,
      )}
    </ol>
    ${statuses.length === 0 ? html`<p>Nobody has said anything yet.</p>` : undefined}`
}

/** The whole page. It works without script; `live.js` keeps the board up to date. */
export function renderPage(view: {
  readonly viewer?: Viewer
  readonly board: Html
  /** Why the last thing did not work. */
  readonly problem: string | undefined
}): Html {
  const { viewer, board, problem } = view
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>Statusphere</title>
        <meta name="viewport" content="width=device-width" />
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="/style.css" />
        <script src="/live.js" type="module"></script>
      </head>
      <body>
        <header>
          <h1>Statusphere</h1>
          <p>How everybody feels, as one emoji.</p>
        </header>
        ${problem === undefined ? undefined : html`<p class="problem" role="alert">${problem}</p>`}
        <main>
          ${viewer === undefined ? SIGN_IN : renderForms(viewer)}
          <section id="board" aria-live="polite">${board}</section>
        </main>
      </body>
    </html>`
}

const SIGN_IN = html`<form class="card sign-in" method="post" action="/login">
  <label
    >Handle or DID
    <input
      name="identifier"
      placeholder="alice.example.com"
      autocomplete="username"
      autocapitalize="none"
      spellcheck="false"
      required
  /></label>
  <label
    >Password <input name="password" type="password" autocomplete="current-password" required
  /></label>
  <button class="primary">Sign in</button>
  <p class="hint">With the password of your PDS; better, with an app password.</p>
</form>`

function renderForms({ did, handle, status }: Viewer): Html {
  return html`<section class="card">
    <div class="viewer">
      <span>Signed in as <b title="${did}">${name(did, handle)}</b></span>
      <form method="post" action="/logout"><button>Sign out</button></form>
    </div>
    <form class="moods" method="post" action="/status">
      ${MOODS.map(
        (mood) =>
          html`<button
            name="status"
            value="${mood}"
            aria-pressed="${mood === status ? 'true' : 'false'}"
          >
            ${mood}
          </button>`,
      )}
    </form>
    <form class="other" method="post" action="/status">
      <label
        >Another emoji <input name="status" size="4" maxlength="32" autocomplete="off" required
      /></label>
      <button>Set</button>
    </form>
  </section>`
}

/** A handle that was checked, or else the DID. */
function name(did: string, handle: string | undefined): string {
  return handle === undefined ? did : `@${handle}`
}

function renderTime(unixMs: number): Html {
  const iso = new Date(unixMs).toISOString()
  return html`<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')}</time>`
}
