/** Declarations compiled and checked; what a store needs to lay out tables. */
export interface Schema {
  readonly version: 1
}
