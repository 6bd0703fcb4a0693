import { parseArgs } from 'node:util'
import { resolveLexicon } from './resolve-lexicon.ts'
import type { ResolveLexiconOptions } from './resolve-lexicon.ts'
import { vendor } from './vendor.ts'

const USAGE = `xrpc vendor SOURCE… [--out FOLDER] [--js] [--no-follow]

Writes TypeScript modules of lexicon documents.
SOURCE is a JSON file, a folder of them, or the NSID of a published lexicon, which is found by DNS and
checked against the signature of its publisher. What it refers to comes with it, found and checked the same
way, except documents of the other SOURCEs and those of @skywright/xrpc/lexicons.

  --out FOLDER  where the modules go (lexicons)
  --js          imports end in .js, for compilers without allowImportingTsExtensions
  --no-follow   only what is named, not what it refers to
`

/** Where {@link runCommand} writes, and the network it finds published lexicons through. */
export interface CommandOptions extends ResolveLexiconOptions {
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
}

/** Runs the command of this package, giving its exit code: 0 done, 1 failed, 2 used wrongly. Never rejects. */
export async function runCommand(
  args: readonly string[],
  { stdout, stderr, ...network }: CommandOptions,
): Promise<0 | 1 | 2> {
  const parsed = parse(args)
  if (parsed === undefined) {
    stderr(USAGE)
    return 2
  }
  if (parsed === 'help') {
    stdout(USAGE)
    return 0
  }
  const { sources, out, importEnding, follow } = parsed
  try {
    const changed = await vendor({
      sources,
      out,
      importEnding,
      follow,
      async resolve(nsid) {
        const found = await resolveLexicon(nsid, network)
        stdout(`${nsid} published by ${found.did} at ${found.rev}\n`)
        return found.document
      },
    })
    stdout(`${changed.length} files written to ${out}\n`)
    return 0
  } catch (error) {
    stderr(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

interface Arguments {
  readonly sources: readonly string[]
  readonly out: string
  readonly importEnding: '.ts' | '.js'
  readonly follow: boolean
}

function parse(args: readonly string[]): Arguments | 'help' | undefined {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        out: { type: 'string', default: 'lexicons' },
        help: { type: 'boolean' },
        js: { type: 'boolean' },
        'no-follow': { type: 'boolean' },
      },
    })
    if (values.help === true) return 'help'
    const [command, ...sources] = positionals
    const importEnding = values.js === true ? '.js' : '.ts'
    if (command !== 'vendor' || sources.length === 0) return undefined
    return { sources, out: values.out, importEnding, follow: values['no-follow'] !== true }
  } catch {
    return undefined
  }
}
