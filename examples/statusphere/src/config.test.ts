import { describe, expect, it } from 'vitest'
import { ConfigError, readConfig } from './config.ts'

describe('readConfig', () => {
  it('needs nothing', () => {
    const config = readConfig({ PATH: '/usr/bin', STATUSPHERE_PORT: ' ' })
    expect(config).toEqual({
      host: '127.0.0.1',
      port: 3000,
      dataDirectory: 'data',
      relay: 'https://bsky.network',
      plcUrl: 'https://plc.directory',
      dev: false,
      logLevel: 'info',
    })
    expect(Object.isFrozen(config)).toBe(true)
  })
  it('reads what is set', () => {
    const config = readConfig({
      STATUSPHERE_PORT: '0',
      STATUSPHERE_RELAY: 'http://localhost:2470/',
      STATUSPHERE_DEV: 'true',
      STATUSPHERE_LOG_LEVEL: 'silent',
    })
    expect(config).toMatchObject({ port: 0, relay: 'http://localhost:2470', logLevel: 'silent' })
  })
  it('lists every problem at once', () => {
    const read = (): unknown =>
      readConfig({
        STATUSPHERE_PORT: '70000',
        STATUSPHERE_RELAY: 'http://localhost:2470',
        STATUSPHERE_PLC_URL: 'https://plc.directory/path',
        STATUSPHERE_DEV: 'yes',
        STATUSPHERE_LOG_LEVEL: 'loud',
        STATUSPHERE_HOSTNAME: 'x',
      })
    expect(read).toThrow(ConfigError)
    for (const name of ['PORT', 'RELAY', 'PLC_URL', 'DEV', 'LOG_LEVEL', 'HOSTNAME'])
      expect(read).toThrow(`STATUSPHERE_${name} `)
  })
})
