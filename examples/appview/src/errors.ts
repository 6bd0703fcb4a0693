/** The environment does not describe a usable configuration; the message lists every problem, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'InvalidConfig'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`invalid configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/** An image or blob cannot be served; `status` is what the HTTP route answers. */
export class BlobUnavailableError extends Error {
  override readonly name = 'BlobUnavailableError'
  readonly code = 'BlobUnavailable'
  readonly status: 400 | 404 | 413 | 415 | 502 | 503
  constructor(status: BlobUnavailableError['status'], reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.status = status
  }
}
