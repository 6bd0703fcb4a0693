import { untilAborted } from '../abort.ts'
import { HandleNotFoundError, ResolutionFailedError } from '../errors.ts'
import { MAX_DNS_HANDLE_CHARS, TXT_LABEL, didFromTxtRecords } from './txt.ts'

/**
 * Looks TXT records up: one inner array per record, of its chunks. Rejects with `code` `ENOTFOUND` or `ENODATA` when
 * there are none (what `node:dns` does).
 */
export type ResolveTxt = (
  name: string,
  options?: { readonly signal?: AbortSignal },
) => Promise<readonly (readonly string[])[]>

/** Codes by which a DNS library says that there is no such record. */
const ABSENT = new Set<unknown>(['ENOTFOUND', 'ENODATA', 'NXDOMAIN'])

/**
 * Asks DNS for a handle's DID.
 * @throws {HandleNotFoundError} when the name or a `did=` record does not exist
 * @throws {HandleAmbiguousError} when there are several
 * @throws {ResolutionFailedError} when DNS did not answer, or answered with something that is not a DID
 */
export async function resolveHandleByDns(
  handle: string,
  resolveTxt: ResolveTxt,
  step: 'dns' | 'doh',
  signal: AbortSignal,
): Promise<string> {
  if (handle.length > MAX_DNS_HANDLE_CHARS) throw new HandleNotFoundError(handle, step)
  let records: readonly (readonly string[])[]
  try {
    records = await untilAborted(resolveTxt(TXT_LABEL + handle, { signal }), signal)
  } catch (cause) {
    const code: unknown =
      typeof cause === 'object' && cause !== null ? Reflect.get(cause, 'code') : undefined
    if (ABSENT.has(code)) throw new HandleNotFoundError(handle, step, { cause })
    throw new ResolutionFailedError(
      handle,
      step,
      `no answer${typeof code === 'string' ? ` (${code})` : ''}`,
      {
        retryable: true,
        cause,
      },
    )
  }
  return didFromTxtRecords(handle, records, step)
}
