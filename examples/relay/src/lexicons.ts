import type { LexiconCatalog, RegistryOf } from '@skywright/xrpc'
import { atproto, type AtprotoDocuments } from '@skywright/xrpc/lexicons'

/** What the relay thinks of a host and why: for the owner of the host, who needs no account here to ask. */
const getHostReport = {
  lexicon: 1,
  id: 'io.github.skywright.relay.getHostReport',
  defs: {
    main: {
      type: 'query',
      parameters: {
        type: 'params',
        required: ['hostname'],
        properties: {
          hostname: { type: 'string' },
          limit: { type: 'integer', minimum: 1, maximum: 100, default: 50 },
        },
      },
      output: {
        encoding: 'application/json',
        schema: {
          type: 'object',
          required: ['hostname', 'status', 'enforcement', 'accountCount', 'accountLimit'],
          properties: {
            hostname: { type: 'string' },
            status: { type: 'string' },
            enforcement: { type: 'string', knownValues: ['observe', 'warn', 'enforce'] },
            seq: { type: 'integer' },
            accountCount: { type: 'integer' },
            accountLimit: { type: 'integer' },
            addedAt: { type: 'string', format: 'datetime' },
            lastEventAt: { type: 'string', format: 'datetime' },
            outcomes: { type: 'array', items: { type: 'ref', ref: '#outcome' } },
            incidents: { type: 'array', items: { type: 'ref', ref: '#incident' } },
          },
        },
      },
      errors: [{ name: 'HostNotFound' }],
    },
    outcome: {
      type: 'object',
      required: ['outcome', 'count', 'lastAt'],
      properties: {
        outcome: {
          type: 'string',
          knownValues: ['accepted', 'discontinuous', 'tolerated', 'rejected', 'connection'],
        },
        reason: { type: 'string' },
        count: { type: 'integer' },
        lastAt: { type: 'string', format: 'datetime' },
      },
    },
    incident: {
      type: 'object',
      required: ['at', 'outcome', 'reason'],
      properties: {
        at: { type: 'string', format: 'datetime' },
        outcome: { type: 'string' },
        reason: { type: 'string' },
        did: { type: 'string' },
        seq: { type: 'integer' },
        rev: { type: 'string' },
        detail: { type: 'string' },
      },
    },
  },
} as const

/** The operator's hand on a host. Fields that are absent stay as they are. */
const updateHost = {
  lexicon: 1,
  id: 'io.github.skywright.relay.updateHost',
  defs: {
    main: {
      type: 'procedure',
      input: {
        encoding: 'application/json',
        schema: {
          type: 'object',
          required: ['hostname'],
          properties: {
            hostname: { type: 'string' },
            banned: { type: 'boolean' },
            enforcement: { type: 'string', enum: ['observe', 'warn', 'enforce'] },
            accountLimit: { type: 'integer', minimum: 0 },
          },
        },
      },
      output: {
        encoding: 'application/json',
        schema: {
          type: 'object',
          required: ['hostname', 'status', 'enforcement', 'accountLimit'],
          properties: {
            hostname: { type: 'string' },
            status: { type: 'string' },
            enforcement: { type: 'string' },
            accountLimit: { type: 'integer' },
          },
        },
      },
      errors: [{ name: 'HostNotFound' }],
    },
  },
} as const

/** `com.atproto.sync.listReposByCollection` for several collections at once, and for all below a name. */
const listReposByCollections = {
  lexicon: 1,
  id: 'io.github.skywright.relay.listReposByCollections',
  defs: {
    main: {
      type: 'query',
      parameters: {
        type: 'params',
        required: ['collections'],
        properties: {
          collections: {
            type: 'array',
            items: { type: 'string', minLength: 1, maxLength: 319 },
            minLength: 1,
            maxLength: 20,
          },
          limit: { type: 'integer', minimum: 1, maximum: 2_000, default: 500 },
          cursor: { type: 'string' },
        },
      },
      output: {
        encoding: 'application/json',
        schema: {
          type: 'object',
          required: ['repos'],
          properties: {
            cursor: { type: 'string' },
            repos: { type: 'array', items: { type: 'ref', ref: '#repo' } },
          },
        },
      },
    },
    repo: {
      type: 'object',
      required: ['did'],
      properties: { did: { type: 'string', format: 'did' } },
    },
  },
} as const

/** Types of {@link relayLexicons}. */
export type RelayDocuments = AtprotoDocuments &
  RegistryOf<[typeof getHostReport, typeof updateHost, typeof listReposByCollections]>

/** The protocol's own lexicons and the relay's three. */
export const relayLexicons: LexiconCatalog<RelayDocuments> = atproto.with(
  getHostReport,
  updateHost,
  listReposByCollections,
)
