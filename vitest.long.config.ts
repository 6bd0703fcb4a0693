import { defineConfig, mergeConfig, type ViteUserConfig } from 'vitest/config'
import base from './vitest.config.ts'

/** Soak, thousands of kills, million-record curves: run before a release, results recorded in docs/. */
const config: ViteUserConfig = mergeConfig(
  base,
  defineConfig({ test: { testTimeout: 3_600_000, hookTimeout: 600_000 } }),
)
config.test = {
  ...config.test,
  include: ['{packages,examples}/*/{src,test}/**/*.long.test.ts'],
  exclude: ['**/node_modules/**'],
}

export default config
