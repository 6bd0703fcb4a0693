/** One mood of one account, as everybody's statusphere writes it. */
export const statusLexicon = {
  lexicon: 1,
  id: 'xyz.statusphere.status',
  defs: {
    main: {
      type: 'record',
      key: 'tid',
      description: 'How somebody feels, as a single emoji.',
      record: {
        type: 'object',
        required: ['status', 'createdAt'],
        properties: {
          status: { type: 'string', minLength: 1, maxGraphemes: 1, maxLength: 32 },
          createdAt: { type: 'string', format: 'datetime' },
        },
      },
    },
  },
} as const
