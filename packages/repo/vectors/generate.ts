/** Writes the vectors into this folder: `node packages/repo/vectors/generate.ts`. */
import { writeFile } from 'node:fs/promises'

import { buildVectors, formatIndex } from './build.ts'

const vectors = await buildVectors()
for (const { name, car } of vectors) await writeFile(new URL(`./${name}.car`, import.meta.url), car)
await writeFile(new URL('./index.json', import.meta.url), formatIndex(vectors))
