import type { HostRecord } from '@skywright/firehose/relay'
import { adviceOn } from './advice.ts'
import type { HostReportView } from './host-report.ts'

/** On a narrow screen a row of a table becomes a block, with the name of each column before its cell. */
const STYLE = `
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
  h1 { line-height: 1.2; }
  table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
  th, td { text-align: left; padding: .35rem 1rem .35rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
  th { font-weight: 600; white-space: nowrap; }
  th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  time, td.word { white-space: nowrap; }
  code { font-size: .9em; }
  .note { color: #8a8a8a; color: light-dark(#595959, #a6a6a6); }
  .bad { font-weight: 600; color: #b00020; color: light-dark(#b00020, #ff8a80); }
  input, button { font: inherit; padding: .2rem .5rem; max-width: 100%; }
  @media (max-width: 45rem) {
    tr, td, td.number { display: block; text-align: left; border: 0; padding: 0; white-space: normal; }
    tr { border-bottom: 1px solid #8884; padding: .5rem 0; }
    tr.names, td:empty { display: none; }
    td[data-name]::before { content: attr(data-name) ': '; color: #8a8a8a; color: light-dark(#595959, #a6a6a6); }
  }`

/** Policy of the pages: they load nothing and run nothing. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
}

/** Outcomes that a host owner should look into. */
const BAD_OUTCOMES: readonly string[] = ['rejected', 'tolerated']

/** The front page: what this is, and its hosts. */
export function renderIndex(view: {
  readonly hosts: readonly HostRecord[]
  readonly lastSeq: number
  readonly subscribers: number
  readonly more: boolean
}): string {
  const rows = view.hosts.map((host) =>
    row([
      cell(
        'Host',
        `<a href="/hosts/${encodeURIComponent(host.hostname)}">${escape(host.hostname)}</a>`,
      ),
      cell('Status', escape(host.status), 'word'),
      cell('Mode', escape(host.enforcement), 'word'),
      cell('Accounts', `${count(host.accountCount)} of ${count(host.accountLimit)}`, 'number'),
      cell('Last event', host.lastEventAtMs === undefined ? '–' : time(host.lastEventAtMs)),
    ]),
  )
  return page(
    'Relay',
    `<p>An AT Protocol relay. Its stream is at <code>/xrpc/com.atproto.sync.subscribeRepos</code>;
    the newest event has number <code>${String(view.lastSeq)}</code>. Subscribers: ${count(view.subscribers)}.</p>
    <form action="/hosts" method="get"><label>Your host:
    <input name="hostname" placeholder="pds.example.com" autocapitalize="none" spellcheck="false"></label>
    <button>Show its report</button></form>
    ${table(['Host', 'Status', 'Mode', '#Accounts', 'Last event'], rows)}
    ${view.more ? '<p>More hosts exist; ask for yours above.</p>' : ''}
    ${rows.length === 0 ? '<p>No host is followed yet.</p>' : ''}`,
  )
}

/** The page a host owner reads. */
export function renderHost(report: HostReportView): string {
  const outcomes = report.outcomes.map(({ outcome, reason = '', count: events, lastAt }) =>
    row([
      cell('Outcome', word(outcome), 'word'),
      cell('Reason', escape(reason)),
      cell('Events', count(events), 'number'),
      cell('Last', time(Date.parse(lastAt))),
      cell('', note(adviceOn('reason', reason))),
    ]),
  )
  const incidents = report.incidents.map(({ at, outcome, reason, did, seq, rev, detail }) =>
    row([
      cell('When', time(Date.parse(at))),
      cell('What', `${word(outcome)} ${escape(reason)}`),
      cell('Number', seq === undefined ? '' : String(seq), 'number'),
      cell(
        '',
        [
          did === undefined ? '' : `<code>${escape(did)}</code>`,
          rev === undefined ? '' : `rev <code>${escape(rev)}</code>`,
          note(detail ?? ''),
        ]
          .filter((part) => part !== '')
          .join('<br>'),
      ),
    ]),
  )
  return page(
    report.hostname,
    `<p>Status <b>${escape(report.status)}</b>: ${adviceOn('status', report.status)}.<br>
    Mode <b>${escape(report.enforcement)}</b>: ${adviceOn('mode', report.enforcement)}.<br>
    Accounts: ${count(report.accountCount)} of at most ${count(report.accountLimit)}.<br>
    Handled up to its number <code>${report.seq === undefined ? '–' : String(report.seq)}</code>.
    Followed since ${time(Date.parse(report.addedAt))}.</p>
    <h2>What became of its events</h2>
    ${outcomes.length === 0 ? '<p>None came yet.</p>' : table(['Outcome', 'Reason', '#Events', 'Last', ''], outcomes)}
    <h2>Last incidents</h2>
    ${incidents.length === 0 ? '<p>None.</p>' : table(['When', 'What', '#Number', 'Account and detail'], incidents)}
    <p><a href="/">All hosts</a></p>`,
  )
}

/** A page that says one thing. */
export function renderMessage(title: string, message: string): string {
  return page(title, `<p>${escape(message)}</p><p><a href="/">All hosts</a></p>`)
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title>
    <meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head>
    <body><h1>${escape(title)}</h1>${body}</body></html>`
}

/** Names of columns of numbers begin with `#`. */
function table(names: readonly string[], rows: readonly string[]): string {
  const heads = names.map((name) =>
    name.startsWith('#') ? `<th class="number">${name.slice(1)}</th>` : `<th>${name}</th>`,
  )
  return `<table><tr class="names">${heads.join('')}</tr>\n${rows.join('\n')}</table>`
}

function row(cells: readonly string[]): string {
  return `<tr>${cells.join('')}</tr>`
}

function cell(name: string, html: string, kind = ''): string {
  const attributes =
    (kind === '' ? '' : ` class="${kind}"`) + (name === '' ? '' : ` data-name="${name}"`)
  return `<td${attributes}>${html}</td>`
}

function word(outcome: string): string {
  const text = escape(outcome)
  return BAD_OUTCOMES.includes(outcome) ? `<span class="bad">${text}</span>` : text
}

function note(text: string): string {
  return text === '' ? '' : `<span class="note">${escape(text)}</span>`
}

/** To the second: what is read by people needs no milliseconds. */
function time(ms: number): string {
  const iso = new Date(ms).toISOString()
  return `<time datetime="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC</time>`
}

function count(value: number): string {
  return value.toLocaleString('en')
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${String(character.charCodeAt(0))};`)
}
