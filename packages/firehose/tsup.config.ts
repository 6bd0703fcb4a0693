import { library } from '../../tsup.base.ts'

export default library([
  'src/index.ts',
  'src/sqlite.ts',
  'src/file.ts',
  'src/segments.ts',
  'src/ws.ts',
  'src/zstd.ts',
  'src/workers/index.ts',
  'src/workers/prove-worker.ts',
  'src/jetstream/index.ts',
  'src/tap/index.ts',
  'src/labels/index.ts',
  'src/relay/index.ts',
  'src/testing/index.ts',
])
