import type { Middleware } from '@skywright/xrpc'
import type { Logger } from './log.ts'

/** Logs every call with its status and time; successful ones at `debug`. Parameters and tokens are never logged. */
export function logCalls(log: Logger): Middleware {
  return async (call, next) => {
    const started = performance.now()
    const response = await next()
    const { status } = response
    const level = status >= 500 ? 'warn' : status >= 400 ? 'info' : 'debug'
    if (log.isLevelEnabled(level)) {
      const ms = Math.round((performance.now() - started) * 10) / 10
      log[level]({ nsid: call.nsid, method: call.request.method, status, ms }, 'call')
    }
    return response
  }
}
