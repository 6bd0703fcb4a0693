/**
 * A `LIMIT` whose bound is a parameter. SQLite compiles a statement anew whenever a bare `LIMIT ?` is bound, since the
 * bound may change the plan; as an expression it is left alone, which is many times faster for small statements.
 */
export const BOUND_LIMIT = 'LIMIT +?'
