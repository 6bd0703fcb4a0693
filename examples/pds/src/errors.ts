/** The environment does not describe a server that can start. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'InvalidConfig'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`the configuration has ${problems.length} problem(s):\n- ${problems.join('\n- ')}`)
    this.problems = problems
  }
}
