import { describe, expect, it } from 'vitest'
import { readConfig } from './config.ts'
import { ConfigError } from './errors.ts'

describe('readConfig', () => {
  it('needs nothing but the public URL', () => {
    const config = readConfig({ PDS_PUBLIC_URL: 'https://pds.example.com/' })
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 2583,
      publicUrl: 'https://pds.example.com',
      plcUrl: 'https://plc.directory',
      durability: 'full',
      dev: false,
      relays: [],
    })
    expect(config.appView).toBeUndefined()
    expect(Object.isFrozen(config)).toBe(true)
  })

  it('reads everything', () => {
    const config = readConfig({
      PDS_PUBLIC_URL: 'https://pds.example.com',
      PDS_HOST: '0.0.0.0',
      PDS_PORT: '0',
      PDS_DATA_DIRECTORY: '/var/lib/pds',
      PDS_HANDLE_DOMAINS: '.example.com, .example.org',
      PDS_JWT_SECRET: 's'.repeat(32),
      PDS_PLC_ROTATION_KEY: 'ab'.repeat(32),
      PDS_PLC_URL: 'https://plc.example.com',
      PDS_APPVIEW_URL: 'https://api.example.com',
      PDS_APPVIEW_DID: 'did:web:api.example.com',
      PDS_RELAYS: 'https://relay.example.com,https://other.example.com/',
      PDS_MAX_BLOB_BYTES: '5000000',
      PDS_INVITE_CODE: 'please',
      PDS_LOG_LEVEL: 'debug',
      PDS_DURABILITY: 'normal',
      PDS_RATE_LIMITS: 'false',
      PDS_PROXY_AUDIENCE: 'service',
      PDS_TRUST_PROXY: '2',
    })
    expect(config).toMatchObject({
      handleDomains: ['.example.com', '.example.org'],
      appView: { url: 'https://api.example.com', did: 'did:web:api.example.com' },
      relays: ['https://relay.example.com', 'https://other.example.com'],
      maxBlobBytes: 5_000_000,
      inviteCode: 'please',
      durability: 'normal',
      rateLimits: false,
      proxyAudience: 'service',
      trustProxy: 2,
    })
  })

  it('names every problem at once', () => {
    const read = (): unknown =>
      readConfig({
        PDS_PORT: '70000',
        PDS_HANDLE_DOMAINS: 'example.com',
        PDS_JWT_SECRET: 'short',
        PDS_PLC_ROTATION_KEY: 'xyz',
        PDS_PLC_URL: 'ftp://plc',
        PDS_APPVIEW_URL: 'https://api.example.com/path',
        PDS_RELAYS: 'https://good.example.com,bad',
        PDS_MAX_BLOB_BYTES: '-1',
        PDS_DEV: 'maybe',
        PDS_LOG_LEVEL: 'loud',
        PDS_DURABILITY: 'eventual',
      })
    expect(read).toThrow(ConfigError)
    try {
      read()
    } catch (error) {
      const { problems, message } = error as ConfigError
      for (const name of [
        'PDS_PUBLIC_URL',
        'PDS_PORT',
        'PDS_HANDLE_DOMAINS',
        'PDS_JWT_SECRET',
        'PDS_PLC_ROTATION_KEY',
        'PDS_PLC_URL',
        'PDS_APPVIEW_URL and PDS_APPVIEW_DID',
        'PDS_APPVIEW_URL must be an origin',
        'PDS_RELAYS is not a URL: bad',
        'PDS_MAX_BLOB_BYTES',
        'PDS_DEV',
        'PDS_LOG_LEVEL',
        'PDS_DURABILITY',
      ]) {
        expect(message).toContain(name)
      }
      expect(problems).toHaveLength(13)
    }
  })

  it('allows plain http in dev only', () => {
    const env = { PDS_PUBLIC_URL: 'http://localhost:2583', PDS_PLC_URL: 'http://localhost:2582' }
    expect(() => readConfig(env)).toThrow('https://')
    expect(readConfig({ ...env, PDS_DEV: 'true' }).plcUrl).toBe('http://localhost:2582')
  })
})
