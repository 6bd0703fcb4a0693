import type { DidDocument } from '../did-document.ts'
import type { AnyPlcOperation, PlcDocumentData, PlcLogEntry } from './operation.ts'

/** Options of {@link createPlcClient}. */
export interface PlcClientOptions {
  /**
   * Origin of the directory.
   * @defaultValue `https://plc.directory`
   */
  readonly url?: string
  /** @defaultValue `globalThis.fetch` */
  readonly fetch?: typeof globalThis.fetch
  /**
   * Time allowed for one request, in milliseconds.
   * @defaultValue 10000
   */
  readonly timeoutMs?: number
}

/** Waiting for one answer. */
export interface PlcRequestOptions {
  readonly signal?: AbortSignal
}

/** One line of `/export`. */
export interface PlcExportEntry {
  readonly type?: 'sequenced_op'
  readonly seq?: number
  readonly did: string
  readonly operation: AnyPlcOperation
  readonly cid: string
  readonly createdAt: string
  /** Only in the timestamp form. */
  readonly nullified?: boolean
}

/** Speaks to a PLC directory. Every method rejects with DidNotFound, DidDeactivated or PlcRequestFailed. */
export interface PlcClient {
  readonly url: string
  resolve(did: string, options?: PlcRequestOptions): Promise<DidDocument>
  data(did: string, options?: PlcRequestOptions): Promise<PlcDocumentData>
  log(did: string, options?: PlcRequestOptions): Promise<readonly AnyPlcOperation[]>
  auditLog(did: string, options?: PlcRequestOptions): Promise<readonly PlcLogEntry[]>
  lastOperation(did: string, options?: PlcRequestOptions): Promise<AnyPlcOperation>
  submit(did: string, operation: AnyPlcOperation, options?: PlcRequestOptions): Promise<void>
  /** One page of `/export`, oldest first; `after` is a seq (number) or a timestamp (text). */
  exportPage(
    options?: PlcRequestOptions & { readonly after?: number | string; readonly count?: number },
  ): Promise<readonly PlcExportEntry[]>
}
/** A client of one directory. */
export declare function createPlcClient(options?: PlcClientOptions): PlcClient
