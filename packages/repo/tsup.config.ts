import { library } from '../../tsup.base.ts'

export default library([
  'src/index.ts',
  'src/cbor.ts',
  'src/stores/sqlite.ts',
  'src/testing/index.ts',
])
