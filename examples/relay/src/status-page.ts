import type { HostRecord } from '@skywright/firehose/relay'
import type { HostReportView } from './host-report.ts'

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
  th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
  td.number { text-align: right; font-variant-numeric: tabular-nums; }
  code { overflow-wrap: anywhere; }
  @media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } a { color: #8bf; } }`

/** Policy of the pages: they load nothing and run nothing. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
  'cache-control': 'no-store',
}

/** What a reason means and what a host owner can do about it. */
const ADVICE: Readonly<Record<string, string>> = {
  'bad-signature': 'The commit is not signed with the #atproto key of the DID document.',
  'commit-mismatch': 'A field of the event differs from the signed commit.',
  'duplicate-path': 'Two operations of one commit name the same record.',
  'future-rev': 'The revision lies in the future: check the clock of the host.',
  'inactive-account':
    'The account is not active here; an #account event with active=true must come first.',
  'invalid-car': 'The blocks are no well-formed CAR file.',
  'invalid-commit': 'The commit object is malformed.',
  'invalid-mst': 'The tree nodes in the blocks are malformed.',
  'inversion-mismatch':
    'Undoing the operations does not lead to prevData: an operation is missing or wrong.',
  'missing-prev-data': 'The event has no prevData (Sync 1.1).',
  'missing-proof': 'The blocks lack tree nodes that are needed to undo the operations.',
  'missing-record': 'The blocks lack a record that an operation creates.',
  'no-signing-key': 'The DID document has no usable #atproto key.',
  'op-mismatch': 'An operation does not match the tree.',
  'stale-rev': 'The revision is not newer than one already seen.',
  'too-large': 'The event is larger than the protocol allows.',
  'too-many-ops': 'More than 200 operations in one commit.',
  'unresolvable-identity': 'The DID document could not be fetched.',
  'wrong-host': 'The DID document names another PDS than this host.',
}

/** The front page: what this is, and its hosts. */
export function renderIndex(view: {
  readonly hosts: readonly HostRecord[]
  readonly firstSeq: number
  readonly lastSeq: number
  readonly subscribers: number
  readonly more: boolean
}): string {
  const rows = view.hosts.map(
    (host) =>
      `<tr><td><a href="/hosts/${encodeURIComponent(host.hostname)}">${escape(host.hostname)}</a></td>` +
      `<td>${escape(host.status)}</td><td>${escape(host.enforcement)}</td>` +
      `<td class="number">${host.accountCount} / ${host.accountLimit}</td>` +
      `<td>${host.lastEventAtMs === undefined ? '–' : new Date(host.lastEventAtMs).toISOString()}</td></tr>`,
  )
  return page(
    'Relay',
    `<p>An AT Protocol relay. Subscribe at <code>/xrpc/com.atproto.sync.subscribeRepos</code>.</p>
    <p>Replay window: <code>${view.firstSeq}</code> to <code>${view.lastSeq}</code>.
    Subscribers: ${view.subscribers}.</p>
    <form action="/hosts" method="get"><label>Your host: <input name="hostname"></label>
    <button>Show its report</button></form>
    <table><tr><th>Host</th><th>Status</th><th>Mode</th><th>Accounts</th><th>Last event</th></tr>
    ${rows.join('\n')}</table>${view.more ? '<p>More hosts exist; ask for yours above.</p>' : ''}`,
  )
}

/** The page a host owner reads. */
export function renderHost(report: HostReportView): string {
  const outcomes = report.outcomes.map(
    ({ outcome, reason, count, lastAt }) =>
      `<tr><td>${escape(outcome)}</td><td>${escape(reason ?? '')}</td><td class="number">${count}</td>` +
      `<td>${lastAt}</td><td>${escape(ADVICE[reason ?? ''] ?? '')}</td></tr>`,
  )
  const incidents = report.incidents.map(
    ({ at, outcome, reason, did, seq, rev, detail }) =>
      `<tr><td>${at}</td><td>${escape(outcome)}</td><td>${escape(reason)}</td>` +
      `<td class="number">${seq ?? ''}</td><td><code>${escape(did ?? '')} ${escape(rev ?? '')}</code></td>` +
      `<td>${escape(detail ?? '')}</td></tr>`,
  )
  return page(
    report.hostname,
    `<p>Status <b>${escape(report.status)}</b>, mode <b>${escape(report.enforcement)}</b>,
    ${report.accountCount} of at most ${report.accountLimit} accounts,
    upstream cursor <code>${report.seq ?? '–'}</code>, followed since ${report.addedAt}.</p>
    <h2>What became of its events</h2>
    <table><tr><th>Outcome</th><th>Reason</th><th>Count</th><th>Last</th><th></th></tr>
    ${outcomes.join('\n')}</table>
    <h2>Last incidents</h2>
    <table><tr><th>When</th><th>Outcome</th><th>Reason</th><th>seq</th><th>Account, rev</th><th>Detail</th></tr>
    ${incidents.join('\n')}</table><p><a href="/">All hosts</a></p>`,
  )
}

/** A page that says one thing. */
export function renderMessage(title: string, message: string): string {
  return page(title, `<p>${escape(message)}</p><p><a href="/">All hosts</a></p>`)
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title>
    <meta name="viewport" content="width=device-width"><style>${STYLE}</style></head>
    <body><h1>${escape(title)}</h1>${body}</body></html>`
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${String(character.charCodeAt(0))};`)
}
