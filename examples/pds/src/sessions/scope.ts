import type { AppPassword } from './app-password-store.ts'

/**
 * What a session may do. `full`: signed in with the account's password. `app`: with an app password, which
 * manages neither account nor identity. `app-privileged`: with one that may reach direct messages too.
 */
export type SessionScope = 'full' | 'app' | 'app-privileged'

/** Scopes as tokens name them; clients read these. */
export const SCOPE_CLAIMS: Readonly<Record<SessionScope, string>> = {
  full: 'com.atproto.access',
  app: 'com.atproto.appPass',
  'app-privileged': 'com.atproto.appPassPrivileged',
}

/** The scope a token names, `undefined` when it names none of an access token. */
export function parseScope(claim: unknown): SessionScope | undefined {
  const scopes: readonly SessionScope[] = ['full', 'app', 'app-privileged']
  return scopes.find((scope) => SCOPE_CLAIMS[scope] === claim)
}

/** The scope of a sign-in: without an app password it is full. */
export function scopeOf(app: Pick<AppPassword, 'privileged'> | undefined): SessionScope {
  if (app === undefined) return 'full'
  return app.privileged ? 'app-privileged' : 'app'
}

/** Whether a session may have other services called in the account's name for a method. */
export function mayCall(scope: SessionScope, nsid: string): boolean {
  return (
    scope !== 'app' || (nsid !== 'com.atproto.server.createAccount' && !nsid.startsWith('chat.'))
  )
}
