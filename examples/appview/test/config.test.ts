import { describe, expect, it } from 'vitest'
import { ConfigError, readConfig } from '../src/index.ts'

describe('readConfig', () => {
  it('needs a public URL only', () => {
    expect(readConfig({ APPVIEW_PUBLIC_URL: 'https://appview.example.com/' })).toMatchObject({
      host: '127.0.0.1',
      port: 2584,
      publicUrl: 'https://appview.example.com',
      plcUrl: 'https://plc.directory',
      publicReads: true,
      backfill: true,
      dev: false,
    })
  })

  it('lists every problem at once', () => {
    const env = {
      APPVIEW_PORT: '99999',
      APPVIEW_DID: 'example.com',
      APPVIEW_AUDIENCES: 'did:web:a, b',
      APPVIEW_RELAY: 'relay.example.com',
      APPVIEW_PLC_URL: 'http://localhost:2582',
      APPVIEW_LOG_LEVEL: 'loud',
      APPVIEW_BACKFILL: 'yes',
      APPVIEW_IMAGE_CACHE_BYTES: '-1',
    }
    let problems: readonly string[] = []
    try {
      readConfig(env)
    } catch (error) {
      if (error instanceof ConfigError) ({ problems } = error)
    }
    expect(problems.map((problem) => problem.split(/[ :]/)[0] ?? '').toSorted()).toEqual(
      [...Object.keys(env), 'APPVIEW_PUBLIC_URL'].toSorted(),
    )
  })

  it('allows http in dev only', () => {
    const env = { APPVIEW_RELAY: 'http://localhost:1', APPVIEW_PUBLIC_URL: 'http://localhost:2' }
    expect(() => readConfig(env)).toThrow(/APPVIEW_RELAY must start with https/)
    expect(readConfig({ ...env, APPVIEW_DEV: 'true' }).relay).toBe('http://localhost:1')
  })
})
