import type { DiscontinuityReason } from '@skywright/firehose'
import type {
  ConnectionNotice,
  HostEnforcement,
  HostStatus,
  RelayRejectReason,
} from '@skywright/firehose/relay'

/** Every reason that can stand in a report. */
type Reason =
  RelayRejectReason | DiscontinuityReason | Exclude<ConnectionNotice['reason'], 'connected'>

/** What a reason means and, where it is the host's to change, what its owner can do. */
const REASONS: Readonly<Record<Reason, string>> = {
  'account-limit':
    'The host brings more accounts than it may. The limit grows with a clean record.',
  'bad-signature': 'The commit is not signed with the #atproto key of the DID document.',
  'commit-mismatch': 'A field of the event differs from the signed commit.',
  desynchronized: 'The repository was out of step before already.',
  duplicate: 'The event was sent before.',
  'duplicate-path': 'Two operations of one commit name the same record.',
  'future-cursor':
    'The host says that it has not come as far as it once was: it began to count anew. It is followed again once it asks to be crawled.',
  'future-rev': 'The revision lies in the future: check the clock of the host.',
  gap: 'An event that could not be read was stepped over.',
  'inactive-account':
    'The account is not active here; an #account event with active=true must come first.',
  internal: 'A fault of this relay, not of the host.',
  'invalid-car': 'The blocks are no well-formed CAR file.',
  'invalid-commit': 'The commit object is malformed.',
  'invalid-did': 'The event names no well-formed DID.',
  'invalid-frame': 'The bytes are no event of the protocol.',
  'invalid-mst': 'The tree nodes in the blocks are malformed.',
  'invalid-op': 'An operation lacks what its kind must have, or has what it must not have.',
  'invalid-rev': 'The revision is no TID, or not newer than the one it says it follows.',
  'inversion-mismatch':
    'Undoing the operations does not lead to prevData: an operation is missing or wrong.',
  lost: 'The connection ended or could not be made. It is tried again, ever more rarely, for ever.',
  'missing-prev-data': 'The event has no prevData (Sync 1.1).',
  'missing-proof': 'The blocks lack tree nodes that are needed to undo the operations.',
  'missing-record': 'The blocks lack a record that an operation creates.',
  'no-signing-key': 'The DID document has no usable #atproto key.',
  'op-mismatch': 'An operation does not match the tree.',
  'prev-data-mismatch':
    'The commit does not follow from the tree that was known here. It was passed on.',
  'since-mismatch': 'The commit before this one was not passed on, or never came. This one was.',
  'stale-rev': 'The revision is not newer than one already seen.',
  sync: 'A #sync event announced a state that does not follow from the last one. It was passed on.',
  takendown: 'The operator of this relay took the account down.',
  throttled:
    'The account broke its chain of commits too often; ten an hour are passed on. Each #commit must name the rev and the tree before it, and a #sync belongs after every jump.',
  'too-large': 'The event is larger than the protocol allows.',
  'too-many-ops': 'More than 200 operations in one commit.',
  'unknown-frame': 'An event of a type that this relay does not know.',
  'unknown-repo': 'The first that was seen of this repository. It was passed on.',
  'unresolvable-identity': 'The DID document could not be fetched.',
  'wrong-host': 'The DID document names another PDS than this host.',
}

const STATUSES: Readonly<Record<HostStatus, string>> = {
  active: 'its events are read as they come',
  idle: 'connected, and silent for a long time',
  offline:
    'not reached at the moment; it is tried again for ever, and at once when it asks to be crawled',
  throttled: 'it has as many accounts as it may bring; new ones are refused, the others go on',
  banned: 'the operator of this relay does not follow it',
}

const MODES: Readonly<Record<HostEnforcement, string>> = {
  observe: 'unproven operations are passed on and counted',
  warn: 'unproven operations are passed on, counted and listed',
  enforce: 'unproven operations are dropped',
}

/** What a reason, a status of a host or its mode means; empty for a word that has no meaning here. */
export function adviceOn(kind: 'reason' | 'status' | 'mode', word: string): string {
  const advice: Readonly<Record<string, string>> = {
    reason: REASONS,
    status: STATUSES,
    mode: MODES,
  }[kind]
  return Object.hasOwn(advice, word) ? (advice[word] ?? '') : ''
}
