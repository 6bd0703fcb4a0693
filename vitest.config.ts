import { defineConfig } from 'vitest/config'

const conditions = ['@skywright/source']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['{packages,examples}/*/{src,test}/**/*.test.ts', 'scripts/**/*.test.ts'],
    exclude: ['**/*.live.test.ts', '**/*.long.test.ts', '**/node_modules/**'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
