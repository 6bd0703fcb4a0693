import type { AccountRecord, RelayAppend } from '@skywright/firehose/relay'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** What an event did to its account, as it lies beside the event in the log. */
export interface AccountNote {
  readonly account: AccountRecord
  /** Root of the tree that was proven with the operations; absent where nothing was. */
  readonly provenData?: string
}

/** The note of an event whose account is in this state from then on. */
export function encodeAccountNote(
  account: AccountRecord,
  { event, verified }: RelayAppend,
): Uint8Array {
  const proven = event?.type === 'commit' ? verified?.data.toString() : undefined
  const note: AccountNote = { account, ...(proven === undefined ? {} : { provenData: proven }) }
  return encoder.encode(JSON.stringify(note))
}

/** Reads what {@link encodeAccountNote} wrote; absent fields of the account are absent in JSON too. */
export function decodeAccountNote(bytes: Uint8Array): AccountNote {
  // Written by encodeAccountNote only, and checked by the log's checksum.
  const { account, provenData } = JSON.parse(decoder.decode(bytes)) as AccountNote
  const { did, hostname, upstreamStatus, localStatus, chain, hostSeq, discontinuities } = account
  return {
    account: { did, hostname, upstreamStatus, localStatus, chain, hostSeq, discontinuities },
    ...(provenData === undefined ? {} : { provenData }),
  }
}
