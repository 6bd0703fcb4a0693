/** Entry of the bundle for runtimes with a command line: prints the outcome as JSON. */
import { runPortableCases } from './cases.ts'

const { log } = globalThis.console
log(JSON.stringify(await runPortableCases()))
