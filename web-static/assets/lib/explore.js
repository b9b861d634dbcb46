// @ts-check
/** What the explorer makes of types: pure. */

/**
 * A reference to a type as `introspection` has it.
 * @typedef {{kind: string, name: string | null, ofType?: TypeRef | null}} TypeRef
 */

/**
 * A type's text around its name: `[`, `Listing`, `!]!`.
 * @param {TypeRef} ref
 * @returns {[string, string, string]}
 */
export function typeText(ref) {
  if (ref.kind === 'NON_NULL' && ref.ofType) {
    const [a, n, b] = typeText(ref.ofType);
    return [a, n, `${b}!`];
  }
  if (ref.kind === 'LIST' && ref.ofType) {
    const [a, n, b] = typeText(ref.ofType);
    return [`[${a}`, n, `${b}]`];
  }
  return ['', ref.name ?? '', ''];
}

/**
 * A first draft of a query for a root field.
 * @param {string} operation
 * @param {{name: string, args: {name: string, type: TypeRef, defaultValue: string | null}[], type: TypeRef}} field
 * @param {readonly string[]} inner fields of its type, none for a scalar
 * @returns {{query: string, variables: string}}
 */
export function skeleton(operation, field, inner) {
  const needed = field.args.filter((a) => a.type.kind === 'NON_NULL' && a.defaultValue === null);
  const paged = field.args.filter((a) => a.name === 'first' || a.name === 'after');
  const used = [...needed, ...paged.filter((a) => !needed.includes(a))];
  const head = used.length ? `(${used.map((a) => `$${a.name}: ${typeText(a.type).join('')}`).join(', ')})` : '';
  const args = used.length ? `(${used.map((a) => `${a.name}: $${a.name}`).join(', ')})` : '';
  const body = inner.length ? ` {\n    ${inner.join('\n    ')}\n  }` : '';
  /** @type {Record<string, unknown>} */
  const variables = {};
  for (const a of used) variables[a.name] = sample(a);
  return { query: `${operation}${head} {\n  ${field.name}${args}${body}\n}`, variables: used.length ? JSON.stringify(variables, null, 2) : '' };
}

/** @param {{name: string, type: TypeRef}} a @returns {unknown} */
function sample(a) {
  if (a.name === 'first') return 10;
  if (a.name === 'after') return null;
  const [open, name] = typeText(a.type);
  if (open) return [];
  return { Boolean: true, Int: 1, Float: 1, JSON: {}, Money: '100' }[name] ?? '';
}

/**
 * Which operations a document has; strings and comments do not count.
 * @param {string} text
 * @returns {string[]}
 */
export function operationsOf(text) {
  const bare = text.replace(/"""(?:\\"""|\\(?!""")|[^\\])*?"""|"(?:\\.|[^"\\\n\r])*"|#[^\n\r]*/g, ' ');
  /** @type {string[]} */
  const found = [];
  let depth = 0;
  for (const m of bare.matchAll(/[{}]|[A-Za-z_]\w*/g)) {
    if (m[0] === '{') {
      if (depth === 0 && found.length === 0) found.push('query');
      depth += 1;
    } else if (m[0] === '}') depth -= 1;
    else if (depth === 0 && ['query', 'mutation', 'subscription'].includes(m[0])) found.push(m[0]);
  }
  return [...new Set(found)];
}

/**
 * What a link may put into the editor: what reads. One that acts would act for
 * whoever follows the link and presses Run (WEB-11).
 * @param {string | null} text
 */
export function linked(text) {
  return text !== null && operationsOf(text).join() === 'query' ? text : null;
}
