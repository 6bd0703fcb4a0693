import { library } from '../../tsup.base.ts'

export default library([
  'src/index.ts',
  'src/frame.ts',
  'src/adapters/express.ts',
  'src/adapters/node.ts',
  'src/adapters/ws.ts',
  'src/lexicons.ts',
  'src/testing/index.ts',
  'src/adapters/vendor/index.ts',
  'src/adapters/vendor/main.ts',
])
