// @ts-check
/** Paths to pages: pure, so that it is tested without a browser. */

/**
 * @typedef {object} Route
 * @property {string} path pattern: `/listings/:id`
 * @property {() => Promise<{page: Page}>} load
 * @property {boolean} [signedIn] needs an account
 * @property {string[]} [roles] needs one of these roles
 */

/**
 * What a page is called with.
 * @typedef {object} Context
 * @property {Record<string, string>} params from the pattern
 * @property {URLSearchParams} query
 * @property {string} hash without `#`
 * @property {string} path
 * @property {import('./session.js').Account | null} account
 * @property {AbortSignal} signal aborted when the page is left
 * @property {(path: string, options?: {replace?: boolean}) => void} go
 * @property {() => void} refresh loads the page again
 */

/**
 * What a page returns.
 * @typedef {object} PageView
 * @property {string} title
 * @property {Node} node
 * @property {() => void | boolean} [leave] cleans up; false keeps the page (after asking)
 * @property {boolean} [door] in place of a page that needs an account
 * @property {() => boolean} [busy] whether work in memory would be lost by going away now
 * @property {{label: string, href?: string}[]} [crumbs] way to the page, without the home page
 * @property {boolean} [wide] uses the whole width
 */

/** @typedef {(ctx: Context) => Promise<PageView>} Page */

/**
 * The parameters of a path under a pattern, or null.
 * @param {string} pattern
 * @param {string} path
 * @returns {Record<string, string> | null}
 */
export function match(pattern, path) {
  const want = split(pattern);
  const have = split(path);
  if (want.length !== have.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [i, w] of want.entries()) {
    const h = have[i] ?? '';
    if (w.startsWith(':')) {
      let value;
      try {
        value = decodeURIComponent(h);
      } catch {
        return null;
      }
      if (!value) return null;
      params[w.slice(1)] = value;
    } else if (w !== h) return null;
  }
  return params;
}

/** @param {string} path */
function split(path) {
  return path.replace(/\/+$/, '').split('/');
}

/**
 * The route of a path with its parameters; fixed parts go before parameters.
 * @template {{path: string}} R
 * @param {readonly R[]} routes
 * @param {string} path
 * @returns {{route: R, params: Record<string, string>} | null}
 */
export function find(routes, path) {
  let best = null;
  let least = Infinity;
  for (const route of routes) {
    const params = match(route.path, path);
    const n = params ? Object.keys(params).length : Infinity;
    if (params && n < least) {
      best = { route, params };
      least = n;
    }
  }
  return best;
}

/**
 * Whether a path may be gone to after signing in: one of ours, never another
 * site's.
 * @param {string | null} path
 * @returns {string | null}
 */
export function safeReturn(path) {
  if (!path || !path.startsWith('/') || path.startsWith('//') || path.includes('\\')) return null;
  return path;
}
