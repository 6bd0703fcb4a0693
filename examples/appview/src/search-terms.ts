import { createHash } from 'node:crypto'
import { asFields, listField, objectField, textField, typeOf } from './record-fields.ts'

/** What a post can be found by, beside its words. */
export type TermKind = 'tag' | 'mention' | 'url' | 'domain' | 'lang'

/** 80 bits: enough that two terms of one network never meet. */
const TERM_HEX_DIGITS = 20

/**
 * One word of the full-text index that stands for a tag, mention, link or language, so that every
 * filter of `searchPosts` is a word more in the same index.
 */
export function searchTerm(kind: TermKind, value: string): string {
  const digest = createHash('sha256').update(`${kind}:${value}`).digest('hex')
  return `x${kind}${digest.slice(0, TERM_HEX_DIGITS)}`
}

/** All terms of a post, as text for the index. */
export function searchTermsOf(post: unknown): string {
  const terms = new Set<string>()
  for (const tag of listField(post, 'tags'))
    if (typeof tag === 'string') terms.add(searchTerm('tag', normalizeTag(tag)))
  for (const language of listField(post, 'langs'))
    if (typeof language === 'string') for (const term of languageTerms(language)) terms.add(term)
  for (const facet of listField(post, 'facets'))
    for (const feature of listField(facet, 'features')) addFeature(terms, feature)
  const external = objectField(asFields(post)?.['embed'], 'external')
  const uri = textField(external, 'uri')
  if (uri !== undefined) addUrl(terms, uri)
  return [...terms].join(' ')
}

/** Tags match without regard to case or a leading number sign. */
export function normalizeTag(tag: string): string {
  return tag
    .replace(/^[#＃]/u, '')
    .normalize('NFKC')
    .toLowerCase()
}

/** The language as given and its primary subtag: `en` finds `en-GB`. */
function languageTerms(language: string): readonly string[] {
  const lower = language.toLowerCase()
  const [primary = lower] = lower.split('-')
  return [searchTerm('lang', lower), searchTerm('lang', primary)]
}

function addFeature(terms: Set<string>, feature: unknown): void {
  const tag = textField(feature, 'tag')
  const did = textField(feature, 'did')
  const uri = textField(feature, 'uri')
  const type = typeOf(feature)
  if (type === 'app.bsky.richtext.facet#tag' && tag !== undefined)
    terms.add(searchTerm('tag', normalizeTag(tag)))
  if (type === 'app.bsky.richtext.facet#mention' && did !== undefined)
    terms.add(searchTerm('mention', did))
  if (type === 'app.bsky.richtext.facet#link' && uri !== undefined) addUrl(terms, uri)
}

function addUrl(terms: Set<string>, uri: string): void {
  if (!URL.canParse(uri)) return
  const url = new URL(uri)
  terms.add(searchTerm('url', normalizeUrl(uri)))
  const labels = url.hostname.toLowerCase().split('.')
  // Every parent domain but the last label: example.com finds www.example.com.
  for (let i = 0; i < labels.length - 1; i++)
    terms.add(searchTerm('domain', labels.slice(i).join('.')))
}

/** Links match without their fragment and a trailing slash. */
export function normalizeUrl(uri: string): string {
  if (!URL.canParse(uri)) return uri
  const url = new URL(uri)
  url.hash = ''
  return url.href.replace(/\/$/, '')
}
