/** One labeler of an `atproto-accept-labelers` or `atproto-content-labelers` header. */
export interface LabelerPreference {
  readonly did: string
  /** Takes down what this labeler says so of. */
  readonly redact: boolean
}

/**
 * What a labelers header says. Absent (the service's default labelers apply), present (those and no others, maybe none)
 * and malformed are three different things.
 */
export type LabelersHeader =
  | { readonly kind: 'absent' }
  | { readonly kind: 'present'; readonly labelers: readonly LabelerPreference[] }
  | { readonly kind: 'malformed'; readonly reason: string }

/** More labelers than any service consults. */
const MAX_LABELERS = 100
const MAX_LENGTH = 16_384
const DID = /^did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]/
const PARAMETER = /^;[ ]*([a-z*][a-z0-9_.*-]*)(?:=(\?[01]|-?[0-9.]+|"[^"\\]*"|[a-zA-Z*][^\s;,"]*))?/

/**
 * Parses a labelers header: a list of DIDs, each with parameters, of which `redact` means something.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8941}
 */
export function parseLabelersHeader(value: string | null | undefined): LabelersHeader {
  if (value === null || value === undefined) return { kind: 'absent' }
  if (value.length > MAX_LENGTH) return malformed('too long')
  const labelers = new Map<string, boolean>()
  let rest = value.replace(/^[ ]+|[ ]+$/g, '')
  while (rest !== '') {
    const did = DID.exec(rest)?.[0]
    if (did === undefined) return malformed('not a DID')
    rest = rest.slice(did.length)
    let redact = false
    for (let match = PARAMETER.exec(rest); match !== null; match = PARAMETER.exec(rest)) {
      if (match[1] === 'redact') redact = match[2] === undefined || match[2] === '?1'
      rest = rest.slice(match[0].length)
    }
    labelers.set(did, redact || (labelers.get(did) ?? false))
    if (labelers.size > MAX_LABELERS) return malformed('too many labelers')
    const separator = /^[ \t]*,[ \t]*(?=.)/.exec(rest)?.[0]
    if (rest !== '' && separator === undefined) return malformed('not a list')
    rest = rest.slice(separator?.length ?? 0)
  }
  return {
    kind: 'present',
    labelers: [...labelers].map(([did, redact]) => ({ did, redact })),
  }
}

/** Writes a labelers header. An empty list is a header too: no labelers at all. */
export function formatLabelersHeader(labelers: readonly LabelerPreference[]): string {
  return labelers.map(({ did, redact }) => (redact ? `${did};redact` : did)).join(', ')
}

function malformed(reason: string): LabelersHeader {
  return { kind: 'malformed', reason }
}
