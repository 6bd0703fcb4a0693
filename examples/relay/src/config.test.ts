import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ZSTD_DICTIONARY } from '../test/support/dictionary.ts'
import { ConfigError, readConfig } from './config.ts'

describe('readConfig', () => {
  it('needs nothing', () => {
    expect(readConfig({})).toMatchObject({
      port: 2470,
      plcUrl: 'https://plc.directory',
      development: false,
      adminPassword: undefined,
      enforcement: 'enforce',
    })
    expect(Object.isFrozen(readConfig({}))).toBe(true)
  })

  it('reads what is set', () => {
    expect(
      readConfig({
        RELAY_PORT: '0',
        RELAY_HOSTS: 'a.example.com, LOCALHOST:2583',
        RELAY_RETENTION_HOURS: '0.5',
        RELAY_RETENTION_GB: '2',
        RELAY_DEVELOPMENT: 'true',
        RELAY_TRUSTED_DOMAINS: 'Host.bsky.network',
        RELAY_ADMIN_DIDS: `did:web:localhost%3A80,did:plc:${'a'.repeat(24)}`,
        RELAY_SERVICE_DID: 'did:web:relay.example.com',
        PATH: '/usr/bin',
      }),
    ).toMatchObject({
      port: 0,
      initialHosts: ['a.example.com', 'localhost:2583'],
      retentionHours: 0.5,
      retentionBytes: 2e9,
      development: true,
      trustedDomains: ['host.bsky.network'],
      adminDids: ['did:web:localhost%3A80', `did:plc:${'a'.repeat(24)}`],
      serviceDid: 'did:web:relay.example.com',
    })
  })

  it('lists every problem at once', () => {
    const problems = ((): readonly string[] => {
      try {
        readConfig({
          RELAY_PORT: '70000',
          RELAY_PLC_URL: 'plc.directory',
          RELAY_DEVELOPMENT: 'yes',
          RELAY_ADMIN_PASSWORD: 'short',
          RELAY_HOSTS: 'ok.example.com,https://no.example.com',
          RELAY_ACCOUNT_LIMIT: '1.5',
          RELAY_ADMIN_DIDS: 'alice.example.com',
          RELAY_LOGLEVEL: 'info',
        })
      } catch (error) {
        if (error instanceof ConfigError) return error.problems
      }
      return []
    })()
    expect(problems).toHaveLength(9)
    for (const name of [
      'RELAY_PORT',
      'RELAY_PLC_URL',
      'RELAY_DEVELOPMENT',
      'RELAY_ADMIN_PASSWORD',
      'RELAY_HOSTS',
      'RELAY_ACCOUNT_LIMIT',
      'RELAY_LOGLEVEL',
      'RELAY_ADMIN_DIDS',
      'RELAY_SERVICE_DID',
    ]) {
      expect(problems.filter((problem) => problem.startsWith(name))).toHaveLength(1)
    }
  })

  it('never prints the admin password', () => {
    expect(() => readConfig({ RELAY_ADMIN_PASSWORD: 'hunter2' })).toThrow(/at least 12/)
    expect(() => readConfig({ RELAY_ADMIN_PASSWORD: 'hunter2' })).not.toThrow(/hunter2/)
  })

  it('takes a zstd dictionary for the Jetstream, and nothing else for one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'relay-dictionary-'))
    const read = (bytes?: Uint8Array): Uint8Array | undefined => {
      const path = join(folder, 'dictionary')
      if (bytes !== undefined) writeFileSync(path, bytes)
      return readConfig({ RELAY_JETSTREAM_DICTIONARY: path }).jetstreamDictionary
    }
    expect(() => read()).toThrow(/DICTIONARY must be the file of a zstd dictionary; .*ENOENT/)
    expect(read(ZSTD_DICTIONARY)).toEqual(ZSTD_DICTIONARY)
    for (const bad of [new Uint8Array(), Buffer.from('<html></html>')]) {
      expect(() => read(bad)).toThrow('it does not begin like one')
    }
    expect(() => read(ZSTD_DICTIONARY.subarray(0, 40))).toThrow('it is damaged')
    rmSync(folder, { recursive: true })
  })
})
