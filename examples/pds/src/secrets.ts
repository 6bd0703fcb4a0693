import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What only this server may know. */
export interface Secrets {
  /** Key of session tokens. */
  readonly jwtSecret: string
  /** Private key of the rotation key this server puts into new did:plc identities, 64 hex digits. */
  readonly plcRotationKey: string
}

/**
 * Reads `secrets.json` of the data folder, generating on first start what the configuration does not
 * give. The file is readable by its owner only and must be part of every backup.
 */
export function loadSecrets(
  directory: string,
  configured: { readonly jwtSecret?: string; readonly plcRotationKey?: string },
): Secrets {
  const { jwtSecret, plcRotationKey } = configured
  if (jwtSecret !== undefined && plcRotationKey !== undefined) return { jwtSecret, plcRotationKey }
  const path = join(directory, 'secrets.json')
  const kept = existsSync(path) ? parseSecrets(readFileSync(path, 'utf8'), path) : generate(path)
  return {
    jwtSecret: jwtSecret ?? kept.jwtSecret,
    plcRotationKey: plcRotationKey ?? kept.plcRotationKey,
  }
}

function generate(path: string): Secrets {
  // Any 32 bytes below the curve order are a key; random bytes above it have probability 2^-128.
  const secrets: Secrets = {
    jwtSecret: randomBytes(32).toString('hex'),
    plcRotationKey: randomBytes(32).toString('hex'),
  }
  const unfinished = `${path}.new`
  writeFileSync(unfinished, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flush: true })
  renameSync(unfinished, path)
  return secrets
}

function parseSecrets(text: string, path: string): Secrets {
  const value: unknown = JSON.parse(text)
  if (
    typeof value === 'object' &&
    value !== null &&
    'jwtSecret' in value &&
    typeof value.jwtSecret === 'string' &&
    'plcRotationKey' in value &&
    typeof value.plcRotationKey === 'string'
  ) {
    return { jwtSecret: value.jwtSecret, plcRotationKey: value.plcRotationKey }
  }
  throw new TypeError(`secrets file is damaged; path=${path}`)
}
