import { library } from '../../tsup.base.ts'

export default library([
  'src/index.ts',
  'src/stores/sqlite.ts',
  'src/stores/postgres.ts',
  'src/testing/index.ts',
])
