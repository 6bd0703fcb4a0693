import { library } from '../../tsup.base.ts'

export default library([
  'src/index.ts',
  'src/keys/index.ts',
  'src/plc/index.ts',
  'src/plc-directory/index.ts',
  'src/node/index.ts',
  'src/testing/index.ts',
])
