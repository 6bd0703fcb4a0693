import { InvalidRequestError } from '@skywright/xrpc'

/** Names nobody may take under the server's own domains: they would look like the server speaking. */
const RESERVED = new Set(
  `about abuse account accounts admin administrator api app apps atproto auth blog bsky bugs cdn config contact
  dns docs email feed ftp help home host imap info jobs legal localhost login logout mail me mod moderation
  moderator mx news null official oauth pds pop postmaster press privacy profile relay root sales security
  server settings shop signin signup smtp ssl staff status store support sysadmin system team terms test undefined
  user users verify web webmaster well-known www xrpc`.split(/\s+/),
)
const MIN_LABEL = 3
const MAX_LABEL = 18
/** Every handle fits a DNS name with the `_atproto.` prefix. */
const MAX_HANDLE = 244

/**
 * The handle as it will be stored: lower case, checked against the rules for names under the
 * server's own domains.
 *
 * @throws {InvalidRequestError} `InvalidHandle`, `UnsupportedDomain` or `HandleNotAvailable`.
 */
export function checkLocalHandle(input: string, domains: readonly string[]): string {
  const handle = input.toLowerCase()
  const domain = domains.find((suffix) => handle.endsWith(suffix))
  if (domain === undefined) {
    throw new InvalidRequestError(`handles here end in ${domains.join(' or ')}`, {
      error: 'UnsupportedDomain',
    })
  }
  const label = handle.slice(0, -domain.length)
  if (handle.length > MAX_HANDLE || !/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(label)) {
    throw invalid('a handle is one name of letters, digits and hyphens before the domain')
  }
  if (label.length < MIN_LABEL) throw invalid(`a name has at least ${MIN_LABEL} characters`)
  if (label.length > MAX_LABEL) throw invalid(`a name has at most ${MAX_LABEL} characters`)
  if (RESERVED.has(label)) {
    throw new InvalidRequestError('this name is reserved', { error: 'HandleNotAvailable' })
  }
  return handle
}

function invalid(message: string): InvalidRequestError {
  return new InvalidRequestError(message, { error: 'InvalidHandle' })
}
