import { defineConfig, type Options } from 'tsup'

/** Shared build: ESM and declarations, one output file per public entry point. */
export function library(entry: string[]): ReturnType<typeof defineConfig> {
  const options: Options = {
    entry,
    format: ['esm'],
    target: 'node22',
    platform: 'node',
    dts: true,
    sourcemap: true,
    clean: true,
    removeNodeProtocol: false,
  }
  return defineConfig(options)
}
