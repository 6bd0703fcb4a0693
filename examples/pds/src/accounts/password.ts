import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** scrypt cost, of the strength OWASP recommends at 16 MiB: stored with each hash, so it can be raised later. */
const COST = { logN: 14, r: 8, p: 5 } as const
const SALT_BYTES = 16
const HASH_BYTES = 32

/** Hashes a password off the main thread. The result names its algorithm and cost. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, salt, COST.logN, COST.r, COST.p)
  return ['scrypt', COST.logN, COST.r, COST.p, salt.toString('hex'), hash.toString('hex')].join('$')
}

/**
 * Whether `password` is the one that was hashed. Without a hash (no such account) it does the same
 * work and answers `false`, so that answers to unknown names take as long as to wrong passwords.
 */
export async function verifyPassword(
  password: string,
  hashed: string | undefined,
): Promise<boolean> {
  const [, logN, r, p, salt, hash] = (hashed ?? UNKNOWN).split('$')
  const expected = Buffer.from(hash ?? '', 'hex')
  const actual = await derive(
    password,
    Buffer.from(salt ?? '', 'hex'),
    Number(logN),
    Number(r),
    Number(p),
  )
  return timingSafeEqual(actual, expected) && hashed !== undefined
}

const UNKNOWN = [
  'scrypt',
  COST.logN,
  COST.r,
  COST.p,
  '00'.repeat(SALT_BYTES),
  '00'.repeat(HASH_BYTES),
].join('$')

function derive(
  password: string,
  salt: Uint8Array,
  logN: number,
  r: number,
  p: number,
): Promise<Buffer> {
  const N = 2 ** logN
  return new Promise((resolve, reject) => {
    scrypt(
      password.normalize('NFKC'),
      salt,
      HASH_BYTES,
      { N, r, p, maxmem: 256 * N * r },
      (error, key) => {
        if (error) reject(error)
        else resolve(key)
      },
    )
  })
}
