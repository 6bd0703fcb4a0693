import type { DemonstrationResult, DemonstrationStep } from './demonstration.ts'
import type { Network } from './network.ts'

/** Where everything is. */
export function describeNetwork(network: Network, startMs: number): string {
  const rows = [
    ['PLC directory', network.plc.url],
    ...network.pds.map((pds, index) => [
      `PDS ${index + 1}`,
      `${pds.url}   handles *.${pds.handleDomain}`,
    ]),
    ['relay', network.relay.url],
    ['AppView', `${network.appView.url}   ${network.appView.did}`],
    ['statusphere', `${network.statusphere.url}   in a browser, with a login from below`],
    ['data', network.dataDirectory],
  ]
  const lines = rows.map(([name = '', value = '']) => `  ${name.padEnd(14)} ${value}`)
  return `The network is up after ${(startMs / 1000).toFixed(2)} s.\n\n${lines.join('\n')}\n`
}

/** One line of the demonstration. */
export function describeStep(step: DemonstrationStep): string {
  const time = `${step.ms.toFixed(0)} ms`.padStart(8)
  if (step.error === undefined)
    return `  ✓ ${time}  ${step.title}${step.detail === undefined ? '' : ` — ${step.detail}`}`
  return `  ✗ ${time}  ${step.title}\n      ${describeError(step.error)}`
}

/** Who can sign in, and what to try. */
export function describeLogins(result: DemonstrationResult, network: Network): string {
  const logins = result.logins.map(
    ({ handle, password, service, did }) =>
      `  ${handle}   password ${password}   at ${service}   ${did}`,
  )
  const [login] = result.logins
  const tries = [
    `curl '${network.relay.url}/xrpc/com.atproto.sync.listHosts'`,
    ...(login === undefined
      ? []
      : [
          `curl '${network.appView.url}/xrpc/app.bsky.actor.getProfile?actor=${login.handle}'`,
          `curl '${login.service}/xrpc/com.atproto.repo.listRecords?repo=${login.did}&collection=app.bsky.feed.post'`,
          `curl '${network.plc.url}/${login.did}'`,
        ]),
    ...(result.post === undefined
      ? []
      : [
          `curl '${network.appView.url}/xrpc/app.bsky.feed.getPostThread?uri=${encodeURIComponent(result.post.uri)}'`,
        ]),
  ]
  return `
Sign in with any atproto client:

${logins.join('\n')}

Try:

${tries.map((line) => `  ${line}`).join('\n')}

Stays up until Ctrl-C.`
}

function describeError(error: Error): string {
  const causes: string[] = []
  for (let current: unknown = error; current instanceof Error; current = current.cause)
    causes.push(`${current.name}: ${current.message}`)
  return causes.join('\n      caused by ')
}
