/**
 * TypeScript types of lexicon schemas, by inference from the documents themselves.
 *
 * Two directions differ on purpose. What code *receives* (a handler's params and input, a client's output, a
 * record read) has string formats as template types and defaults filled in. What code *provides* (a handler's
 * output, a client's params and input, a record written) takes plain strings, optional fields with defaults,
 * and the JSON form of links and bytes beside the data-model form.
 */

/** Direction of a value seen from the code that holds it. */
export type Direction = 'receive' | 'provide'

/** The part of a CID that this package relies on; `multiformats` CIDs of any version fit. */
export interface CidLink {
  readonly code: number
  readonly version: number
  readonly bytes: Uint8Array
  toString(): string
}

/** A blob in the data model: a plain object, its link a CID. */
export interface BlobRef {
  readonly $type: 'blob'
  readonly ref: CidLink
  readonly mimeType: string
  readonly size: number
}

/** A link as JSON has it. */
export interface JsonLink {
  readonly $link: string
}

/** Bytes as JSON has them: base64. */
export interface JsonBytes {
  readonly $bytes: string
}

/** A blob as JSON or as the data model has it. */
export interface ProvidedBlobRef {
  readonly $type: 'blob'
  readonly ref: CidLink | JsonLink
  readonly mimeType: string
  readonly size: number
}

/** Text of a DID. */
export type DidString = `did:${string}:${string}`
/** Text of a handle. */
export type HandleString = `${string}.${string}`
/** Text of an AT-URI. */
export type AtUriString = `at://${string}`
/** Text of an NSID. */
export type NsidString = `${string}.${string}.${string}`

interface Formats {
  did: DidString
  handle: HandleString
  'at-identifier': DidString | HandleString
  'at-uri': AtUriString
  nsid: NsidString
}

type Simplify<T> = { [K in keyof T]: T[K] } & {}

type Text<S, M> = S extends { const: infer C }
  ? C
  : S extends { enum: readonly (infer E)[] }
    ? E
    : S extends { knownValues: readonly (infer K extends string)[] }
      ? K | (string & {})
      : M extends 'provide'
        ? string
        : S extends { format: infer F extends keyof Formats }
          ? Formats[F]
          : string

type Scalar<S, Wide> = S extends { const: infer C }
  ? C
  : S extends { enum: readonly (infer E)[] }
    ? E
    : Wide

type Definition<R, Id extends string, N extends string, M extends Direction> = Id extends keyof R
  ? R[Id] extends { defs: infer D }
    ? N extends keyof D
      ? Infer<R, Id, D[N], M>
      : unknown
    : unknown
  : unknown

type Ref<R, Id extends string, X extends string, M extends Direction> = X extends `#${infer N}`
  ? Definition<R, Id, N, M>
  : X extends `${infer D}#${infer N}`
    ? Definition<R, D, N, M>
    : Definition<R, X, 'main', M>

type TypeName<Id extends string, X extends string> = X extends `#${infer N}`
  ? N extends 'main'
    ? Id
    : `${Id}#${N}`
  : X extends `${infer D}#main`
    ? D
    : X

type RequiredKeys<S> = S extends { required: readonly (infer K)[] } ? K : never
type NullableKeys<S> = S extends { nullable: readonly (infer K)[] } ? K : never
type DefaultedKeys<P> = { [K in keyof P]: P[K] extends { default: unknown } ? K : never }[keyof P]
type PresentKeys<S, P, M> = M extends 'receive'
  ? RequiredKeys<S> | DefaultedKeys<P>
  : RequiredKeys<S>

type Property<R, Id extends string, S, P, K extends keyof P, M extends Direction> =
  Infer<R, Id, P[K], M> | (K extends NullableKeys<S> ? null : never)

type ObjectOf<R, Id extends string, S, P, M extends Direction> = Simplify<
  {
    [K in keyof P as K extends PresentKeys<S, P, M> ? K : never]: Property<R, Id, S, P, K, M>
  } & {
    [K in keyof P as K extends PresentKeys<S, P, M> ? never : K]?:
      Property<R, Id, S, P, K, M> | undefined
  }
>

type Variant<R, Id extends string, X, M extends Direction> = X extends string
  ? Simplify<{ $type: TypeName<Id, X> } & WithoutType<Ref<R, Id, X, M>>>
  : never

/** A variant that is a record already carries `$type`; the name from the reference is the same. */
type WithoutType<T> = T extends { $type: string } ? Omit<T, '$type'> : T

/** A member of an open union that the lexicon does not list. */
export interface UnknownVariant {
  $type: string & {}
}

/** The value type of one schema `S` of document `Id` in registry `R`, seen from direction `M`. */
export type Infer<R, Id extends string, S, M extends Direction = 'receive'> = S extends {
  type: 'object' | 'params'
  properties: infer P
}
  ? ObjectOf<R, Id, S, P, M>
  : S extends { type: 'string' }
    ? Text<S, M>
    : S extends { type: 'integer' }
      ? Scalar<S, number>
      : S extends { type: 'boolean' }
        ? Scalar<S, boolean>
        : S extends { type: 'array'; items: infer I }
          ? M extends 'provide'
            ? readonly Infer<R, Id, I, M>[]
            : Infer<R, Id, I, M>[]
          : S extends { type: 'ref'; ref: infer X extends string }
            ? Ref<R, Id, X, M>
            : S extends { type: 'union'; refs: readonly (infer X)[]; closed: true }
              ? Variant<R, Id, X, M>
              : S extends { type: 'union'; refs: readonly (infer X)[] }
                ? Variant<R, Id, X, M> | UnknownVariant
                : S extends { type: 'blob' }
                  ? M extends 'provide'
                    ? ProvidedBlobRef
                    : BlobRef
                  : S extends { type: 'cid-link' }
                    ? M extends 'provide'
                      ? CidLink | JsonLink
                      : CidLink
                    : S extends { type: 'bytes' }
                      ? M extends 'provide'
                        ? Uint8Array | JsonBytes
                        : Uint8Array
                      : S extends { type: 'unknown' }
                        ? M extends 'provide'
                          ? object
                          : { [key: string]: unknown }
                        : S extends { type: 'record'; record: infer O }
                          ? Simplify<{ $type: Id } & Infer<R, Id, O, M>>
                          : S extends { type: 'token' }
                            ? string
                            : S extends { type: 'object' | 'params' }
                              ? object
                              : unknown

type MainOf<R, Id extends string> = Id extends keyof R
  ? R[Id] extends { defs: { main: infer D } }
    ? D
    : never
  : never

/** NSIDs in registry `R` whose main definition has type `T`. */
export type MethodIds<R, T extends 'query' | 'procedure' | 'subscription'> = {
  [K in keyof R & string]: MainOf<R, K> extends { type: T } ? K : never
}[keyof R & string]

/** NSIDs of the record types in registry `R`. */
export type RecordIds<R> = {
  [K in keyof R & string]: MainOf<R, K> extends { type: 'record' } ? K : never
}[keyof R & string]

/** Parameters of a method, subscription included. */
export type ParamsOf<R, Id extends string, M extends Direction = 'receive'> =
  MainOf<R, Id> extends { parameters: infer P } ? Infer<R, Id, P, M> : Record<never, never>

/** `T` when the body is JSON, a stream of bytes otherwise. */
type BodyOf<R, Id extends string, B, M extends Direction, Binary> = B extends { schema: infer S }
  ? Infer<R, Id, S, M>
  : B extends { encoding: 'application/json' }
    ? M extends 'provide'
      ? object
      : { [key: string]: unknown }
    : B extends { encoding: string }
      ? Binary
      : undefined

/** A body that is not JSON, to be read once. */
export type BinaryInput = AsyncIterable<Uint8Array>
/** A body that is not JSON, to be sent. */
export type BinaryOutput = Uint8Array | AsyncIterable<Uint8Array>

/** Input body of a procedure: JSON value, bytes, or `undefined` when the procedure takes none. */
export type InputOf<R, Id extends string, M extends Direction = 'receive'> =
  MainOf<R, Id> extends { input: infer B }
    ? BodyOf<R, Id, B, M, M extends 'provide' ? BinaryOutput | Blob : BinaryInput>
    : undefined

/** Output body of a query or procedure: JSON value, bytes, or `undefined` when there is none. */
export type OutputOf<R, Id extends string, M extends Direction = 'receive'> =
  MainOf<R, Id> extends { output: infer B }
    ? BodyOf<R, Id, B, M, M extends 'provide' ? BinaryOutput : BinaryInput>
    : undefined

/** What a message may be called where it is sent: the fragment as on the wire, or the whole name. */
type MessageName<Id extends string, X> = X extends `#${infer N}`
  ? `#${N}` | `${Id}#${N}`
  : X extends `${Id}#${infer N}`
    ? `#${N}` | `${Id}#${N}`
    : never

/** Frames have no name for messages that another lexicon defines, so there are none to send. */
type SentMessage<R, Id extends string, X> = X extends string
  ? MessageName<Id, X> extends infer $type extends string
    ? [$type] extends [never]
      ? never
      : Simplify<{ $type: $type } & Ref<R, Id, X, 'provide'>>
    : never
  : never

/**
 * Message of a subscription: the union of its variants, each with its `$type`. Receivers get the whole name, and no others;
 * senders give that or the fragment, `#commit`.
 */
export type MessageOf<R, Id extends string, M extends Direction = 'receive'> =
  MainOf<R, Id> extends {
    message: { schema: { type: 'union'; refs: readonly (infer X)[] } }
  }
    ? M extends 'provide'
      ? SentMessage<R, Id, X>
      : Variant<R, Id, X, M>
    : never

/** Error names that the lexicon of a method declares. */
export type ErrorOf<R, Id extends string> =
  MainOf<R, Id> extends { errors: readonly { name: infer N extends string }[] } ? N : never

/** A record of collection `Id`. */
export type RecordOf<R, Id extends string, M extends Direction = 'receive'> = Infer<
  R,
  Id,
  MainOf<R, Id>,
  M
>

/** A named definition, `N` being the part behind the number sign. */
export type DefinitionOf<
  R,
  Id extends string,
  N extends string,
  M extends Direction = 'receive',
> = Definition<R, Id, N, M>
