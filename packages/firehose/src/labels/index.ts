/**
 * Labels: sign, verify, send and follow them.
 *
 * @packageDocumentation
 */
export { labelKey, LabelState, readLabel } from './label.ts'
export type { Label, SignedLabel } from './label.ts'
export { signLabel, verifyLabel } from './sign-label.ts'
export type { LabelSigner } from './sign-label.ts'
export { decodeLabels, encodeLabels } from './label-codec.ts'
export type { LabelMessage } from './label-codec.ts'
export { createLabelVerifier } from './label-keys.ts'
export type { LabelVerifier } from './label-keys.ts'
export { subscribeLabels } from './subscribe-labels.ts'
export type { LabelsEvent, SubscribeLabelsOptions } from './subscribe-labels.ts'
