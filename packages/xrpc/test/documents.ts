import { createCatalog } from '../src/catalog.ts'
import type { LexiconCatalog, RegistryOf } from '../src/catalog.ts'

/** Lexicons of no real service, small enough to see what each test means. */
const getThing = {
  lexicon: 1,
  id: 'com.example.getThing',
  defs: {
    main: {
      type: 'query',
      parameters: {
        type: 'params',
        required: ['name'],
        properties: {
          name: { type: 'string', maxLength: 20 },
          limit: { type: 'integer', minimum: 1, maximum: 100, default: 50 },
          deep: { type: 'boolean' },
          tags: { type: 'array', items: { type: 'string' }, maxLength: 3 },
          did: { type: 'string', format: 'did' },
        },
      },
      output: { encoding: 'application/json', schema: { type: 'ref', ref: '#thing' } },
      errors: [{ name: 'ThingNotFound' }],
    },
    thing: {
      type: 'object',
      required: ['name'],
      properties: {
        name: { type: 'string' },
        limit: { type: 'integer' },
        tags: { type: 'array', items: { type: 'string' } },
        link: { type: 'cid-link' },
        data: { type: 'bytes' },
        blob: { type: 'blob' },
      },
    },
  },
} as const

const putThing = {
  lexicon: 1,
  id: 'com.example.putThing',
  defs: {
    main: {
      type: 'procedure',
      input: {
        encoding: 'application/json',
        schema: {
          type: 'object',
          required: ['name', 'record'],
          properties: {
            name: { type: 'string', maxGraphemes: 5 },
            note: { type: 'string', default: 'none' },
            record: { type: 'unknown' },
            picture: { type: 'blob', accept: ['image/*'], maxSize: 1000 },
          },
        },
      },
      output: {
        encoding: 'application/json',
        schema: { type: 'object', properties: { echo: { type: 'unknown' } } },
      },
    },
  },
} as const

const upload = {
  lexicon: 1,
  id: 'com.example.upload',
  defs: {
    main: {
      type: 'procedure',
      input: { encoding: '*/*' },
      output: {
        encoding: 'application/json',
        schema: {
          type: 'object',
          required: ['size'],
          properties: { size: { type: 'integer' }, type: { type: 'string' } },
        },
      },
    },
  },
} as const

const download = {
  lexicon: 1,
  id: 'com.example.download',
  defs: {
    main: {
      type: 'query',
      parameters: { type: 'params', properties: { size: { type: 'integer', default: 10 } } },
      output: { encoding: 'application/vnd.ipld.car' },
    },
  },
} as const

const ping = {
  lexicon: 1,
  id: 'com.example.ping',
  defs: { main: { type: 'procedure' } },
} as const

const listen = {
  lexicon: 1,
  id: 'com.example.listen',
  defs: {
    main: {
      type: 'subscription',
      parameters: { type: 'params', properties: { cursor: { type: 'integer' } } },
      message: { schema: { type: 'union', refs: ['#tick', '#tock'] } },
      errors: [{ name: 'FutureCursor' }],
    },
    tick: {
      type: 'object',
      required: ['seq'],
      properties: { seq: { type: 'integer' }, blocks: { type: 'bytes' } },
    },
    tock: { type: 'object', properties: {} },
  },
} as const

const thing = {
  lexicon: 1,
  id: 'com.example.thing',
  defs: {
    main: {
      type: 'record',
      key: 'tid',
      record: {
        type: 'object',
        required: ['createdAt'],
        properties: {
          createdAt: { type: 'string', format: 'datetime' },
          picture: { type: 'blob', accept: ['image/*'], maxSize: 1000 },
          shape: { type: 'union', refs: ['#circle', '#square'] },
          fixed: { type: 'union', refs: ['#circle'], closed: true },
          kind: { type: 'string', default: 'plain' },
        },
      },
    },
    circle: { type: 'object', required: ['radius'], properties: { radius: { type: 'integer' } } },
    square: { type: 'object', required: ['side'], properties: { side: { type: 'integer' } } },
  },
} as const

export type ExampleDocuments = RegistryOf<
  readonly [
    typeof getThing,
    typeof putThing,
    typeof upload,
    typeof download,
    typeof ping,
    typeof listen,
    typeof thing,
  ]
>
export const examples: LexiconCatalog<ExampleDocuments> = createCatalog(
  getThing,
  putThing,
  upload,
  download,
  ping,
  listen,
  thing,
)
