import { encodeCbor } from '@skywright/repo/cbor'
import type { SigningKey } from '../verify/identity.ts'
import { MAX_LABEL_VALUE_BYTES, type Label, type SignedLabel } from './label.ts'

/** Signs bytes; the labeler's `#atproto_label` key. */
export interface LabelSigner {
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/**
 * Signs a label. `neg` is left out when it is false, as the network does.
 *
 * @throws {RangeError} when `val` is empty or longer than 128 bytes.
 * @see {@link https://atproto.com/specs/label#signatures}
 */
export async function signLabel(label: Label, signer: LabelSigner): Promise<SignedLabel> {
  const bytes = new TextEncoder().encode(label.val).length
  if (bytes === 0 || bytes > MAX_LABEL_VALUE_BYTES) {
    throw new RangeError(`val must have 1 to 128 bytes; bytes=${String(bytes)}`)
  }
  const { neg, ...fields } = signedFields(label)
  const signed = { ...fields, ...(neg === true ? { neg } : {}) }
  return { ...signed, sig: await signer.sign(encodeCbor(signed)) }
}

/**
 * Whether the signature is that of the label as it was received. Labelers that sign `neg: false` and send without it,
 * or the reverse, are understood too: the statement is the same.
 */
export function verifyLabel(label: SignedLabel, key: SigningKey): boolean {
  const { neg, ...fields } = signedFields(label)
  const styles =
    neg === true
      ? [{ ...fields, neg }]
      : neg === false
        ? [{ ...fields, neg }, fields]
        : [fields, { ...fields, neg: false }]
  return styles.some((style) => key.verify(encodeCbor(style), label.sig))
}

/** The fields of the schema, in whatever order: encoding sorts them. */
function signedFields({ ver, src, uri, cid, val, neg, cts, exp }: Label): Label {
  return {
    ver,
    src,
    uri,
    ...(cid === undefined ? {} : { cid }),
    val,
    ...(neg === undefined ? {} : { neg }),
    cts,
    ...(exp === undefined ? {} : { exp }),
  }
}
