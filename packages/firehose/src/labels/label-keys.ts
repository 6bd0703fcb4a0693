import { getVerificationKey, type IdentityResolver } from '@skywright/identity'
import type { SigningKey } from '../verify/identity.ts'
import type { SignedLabel } from './label.ts'
import { verifyLabel } from './sign-label.ts'

/** How long a labeler's key is used before it is looked up again. */
const TTL_MS = 3_600_000
/** Labelers remembered. */
const MAX_LABELERS = 10_000

/** Finds out whether labels are their labeler's. */
export interface LabelVerifier {
  /**
   * Whether the labeler's `#atproto_label` key signed the label. A signature that fails is tried once more with a fresh
   * look at the labeler's document.
   *
   * @throws what the resolver throws, when the document cannot be had: that is not a bad signature.
   */
  verify(label: SignedLabel, options?: { readonly signal?: AbortSignal }): Promise<boolean>
}

/** Verifies labels with keys from an identity resolver. The `#atproto` key never counts. */
export function createLabelVerifier(
  resolver: Pick<IdentityResolver, 'resolveDid'>,
  { now = Date.now }: { readonly now?: () => number } = {},
): LabelVerifier {
  const known = new Map<string, { readonly key: SigningKey | undefined; readonly atMs: number }>()
  const keyOf = async (
    src: string,
    refresh: boolean,
    signal: AbortSignal | undefined,
  ): Promise<SigningKey | undefined> => {
    const before = known.get(src)
    if (!refresh && before !== undefined && now() - before.atMs < TTL_MS) return before.key
    const { document } = await resolver.resolveDid(src, {
      refresh,
      ...(signal === undefined ? {} : { signal }),
    })
    const key = getVerificationKey(document, 'atproto_label')
    known.delete(src)
    known.set(src, { key, atMs: now() })
    for (const oldest of known.keys()) {
      if (known.size <= MAX_LABELERS) break
      known.delete(oldest)
    }
    return key
  }
  return {
    verify: async (label, { signal } = {}) => {
      for (const refresh of [false, true]) {
        const key = await keyOf(label.src, refresh, signal)
        if (key !== undefined && verifyLabel(label, key)) return true
      }
      return false
    },
  }
}
