import { defineMethod, InvalidRequestError, type XrpcMethod } from '@skywright/xrpc'
import { atproto } from '@skywright/xrpc/lexicons'
import type { AppPasswordStore } from '../sessions/app-password-store.ts'
import type { Auth } from '../sessions/auth.ts'

/** Most app passwords of one account. */
const MAX_APP_PASSWORDS = 100
/** Longest name, characters. */
const MAX_NAME = 256

/** Makes a password for one app. It is told in this answer and never again. */
export function createAppPassword(options: {
  readonly auth: Auth
  readonly appPasswords: AppPasswordStore
  readonly now: () => number
}): XrpcMethod {
  const { auth, appPasswords, now } = options
  return defineMethod(atproto, 'com.atproto.server.createAppPassword', {
    auth: auth.fullSession,
    handler({ auth: { account }, input }) {
      const { did } = account
      const { name, privileged = false } = input
      if (name.trim() === '' || name.length > MAX_NAME) {
        throw new InvalidRequestError(`a name has from 1 to ${MAX_NAME} characters`)
      }
      if (appPasswords.list(did).length >= MAX_APP_PASSWORDS) {
        throw new InvalidRequestError(`an account has at most ${MAX_APP_PASSWORDS} app passwords`)
      }
      const created = appPasswords.create(did, { name, privileged }, now())
      if (created === undefined) throw new InvalidRequestError(`the name is taken: ${name}`)
      return { ...created, createdAt: new Date(created.createdAt).toISOString() }
    },
  })
}
