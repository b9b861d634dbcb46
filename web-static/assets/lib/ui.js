// @ts-check
/** Parts of pages: forms, dialogs, tables; with everything of base.js. All text goes through h(). */
import { button, failure, loading, note, problem, toast } from './base.js';
import { freshId, h, put } from './dom.js';

export * from './base.js';

/** @typedef {import('./dom.js').Child} Child */

// Fields

/**
 * @typedef {object} FieldOptions
 * @property {string} label
 * @property {string} name as the API names it: a refusal that names it is shown here
 * @property {string[]} [aliases] other names that the API has for it
 * @property {'text' | 'email' | 'password' | 'number' | 'search' | 'url' | 'date' | 'datetime-local' | 'textarea' | 'select' | 'checkbox' | 'file' | 'radio'} [type]
 * @property {Child} [hint]
 * @property {string} [value]
 * @property {boolean} [checked]
 * @property {boolean} [required]
 * @property {boolean} [optional] says so in the label
 * @property {string} [placeholder]
 * @property {string} [autocomplete]
 * @property {string} [inputmode]
 * @property {string} [accept]
 * @property {string | number} [min]
 * @property {string | number} [max]
 * @property {string | number} [step]
 * @property {number} [maxlength]
 * @property {number} [minlength]
 * @property {number} [rows]
 * @property {boolean} [spellcheck]
 * @property {boolean} [mono]
 * @property {boolean} [hideLabel]
 * @property {boolean} [multiple]
 * @property {{value: string, label: string, disabled?: boolean, hint?: string}[]} [options] of a select or radios
 * @property {string} [unit] after the input
 * @property {(value: string) => string | null | undefined} [check] what is wrong with a value, in words
 * @property {(event: Event) => void} [onchange]
 * @property {(event: Event) => void} [oninput]
 */

/**
 * @typedef {object} Field
 * @property {HTMLElement} node
 * @property {HTMLInputElement} input the control (a textarea or select is used alike)
 * @property {string} name
 * @property {string[]} names
 * @property {() => string} value
 * @property {() => boolean} checked
 * @property {() => File | null} file
 * @property {(text: string | null) => void} setError
 * @property {() => boolean} valid checks and shows what is wrong
 */

/**
 * A labelled field; hint and error are tied to it.
 * @param {FieldOptions} o
 * @returns {Field}
 */
export function field(o) {
  const id = freshId('f');
  const type = o.type ?? 'text';
  const error = h('p', { class: 'error', id: `${id}-e`, hidden: true });
  const hint = o.hint ? h('p', { class: 'hint', id: `${id}-h` }, o.hint) : null;
  const attributes = {
    id, name: o.name, required: o.required ?? false, placeholder: o.placeholder ?? null, autocomplete: o.autocomplete ?? 'off', inputmode: o.inputmode ?? null,
    accept: o.accept ?? null, min: o.min ?? null, max: o.max ?? null, step: o.step ?? null, maxlength: o.maxlength ?? null, minlength: o.minlength ?? null,
    multiple: o.multiple ?? false, spellcheck: o.spellcheck === undefined ? null : String(o.spellcheck), class: o.mono ? 'mono' : null,
    'aria-describedby': hint ? `${id}-h ${id}-e` : `${id}-e`,
    onchange: o.onchange ?? null,
  };
  if (type === 'radio') return radios(o, id, error, hint);
  /** @type {HTMLInputElement} */
  let input;
  if (type === 'textarea') {
    input = /** @type {any} */ (h('textarea', { ...attributes, rows: o.rows ?? 4, value: o.value ?? '' }));
  } else if (type === 'select') {
    input = /** @type {any} */ (h('select', { ...attributes, ...(o.value === undefined ? {} : { value: o.value }) }, (o.options ?? []).map((x) => h('option', { value: x.value, disabled: x.disabled ?? false }, x.label))));
    if (o.value !== undefined) input.value = o.value;
  } else {
    input = h('input', { ...attributes, type, ...(type === 'file' ? {} : type === 'checkbox' ? { checked: o.checked ?? false } : { value: o.value ?? '' }) });
  }
  /** @param {string | null} text */
  const setError = (text) => {
    error.textContent = text ?? '';
    error.hidden = !text;
    if (text) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  const value = () => (type === 'password' ? input.value : input.value.trim());
  const valid = () => {
    let text = null;
    if (o.required && type === 'checkbox' && !input.checked) text = 'Tick this to go on.';
    else if (o.required && type === 'file' && !input.files?.length) text = 'Choose a file.';
    else if (o.required && type !== 'checkbox' && type !== 'file' && value() === '') text = `${o.label} is missing.`;
    else if (input.validity && !input.validity.valid && value() !== '') text = input.validationMessage;
    else text = type === 'checkbox' || type === 'file' || value() === '' ? null : o.check?.(value()) ?? null;
    setError(text);
    return !text;
  };
  input.addEventListener('input', (event) => {
    if (!error.hidden) valid();
    o.oninput?.(event);
  });
  const label = h('label', { for: id, class: o.hideLabel ? 'hidden' : null }, o.label, o.optional ? h('span', { class: 'quiet' }, ' (optional)') : null);
  const node = type === 'checkbox'
    ? h('div', { class: 'field check' }, input, label, hint, error)
    : h('div', { class: 'field' }, label, hint, o.unit ? h('div', { class: 'with-unit' }, input, h('span', { class: 'unit' }, o.unit)) : input, error);
  return {
    node, input, name: o.name, names: [o.name, ...(o.aliases ?? [])], value, checked: () => input.checked, file: () => input.files?.[0] ?? null, setError, valid,
  };
}

/**
 * @param {FieldOptions} o
 * @param {string} id
 * @param {HTMLElement} error
 * @param {HTMLElement | null} hint
 * @returns {Field}
 */
function radios(o, id, error, hint) {
  /** @type {HTMLInputElement[]} */
  const all = [];
  const items = (o.options ?? []).map((x, i) => {
    const r = h('input', { type: 'radio', name: `${o.name}-${id}`, id: `${id}-${i}`, value: x.value, checked: x.value === o.value, disabled: x.disabled ?? false, onchange: o.onchange ?? null, 'aria-describedby': x.hint ? `${id}-${i}-h` : null });
    all.push(r);
    return h('div', { class: 'choice' }, r, h('label', { for: `${id}-${i}` }, x.label), x.hint ? h('p', { class: 'hint', id: `${id}-${i}-h` }, x.hint) : null);
  });
  /** @param {string | null} text */
  const setError = (text) => {
    error.textContent = text ?? '';
    error.hidden = !text;
  };
  const value = () => all.find((r) => r.checked)?.value ?? '';
  const node = h('fieldset', { class: 'field radios', 'aria-describedby': error.id }, h('legend', { class: o.hideLabel ? 'hidden' : null }, o.label), hint, h('div', { class: 'choices' }, items), error);
  const first = all[0] ?? h('input', { type: 'radio' });
  return {
    node, input: first, name: o.name, names: [o.name, ...(o.aliases ?? [])], value, checked: () => value() !== '', file: () => null, setError,
    valid() {
      const text = o.required && !value() ? 'Choose one.' : null;
      setError(text);
      return !text;
    },
  };
}

/**
 * @typedef {object} FormOptions
 * @property {Field[]} fields all that are checked and may show a refusal
 * @property {Child} [body] in place of the fields one below the other
 * @property {string} submit
 * @property {'main' | 'danger'} [kind]
 * @property {() => Promise<unknown> | unknown} onsubmit
 * @property {Child} [beside] next to the button
 */

/**
 * A form: checks its fields, is busy while it submits, shows what is refused
 * at the field that the refusal names, else above the button.
 * @param {FormOptions} o
 */
export function form(o) {
  const top = h('div', { 'aria-live': 'assertive' });
  const b = h('button', { type: 'submit', class: `button ${o.kind ?? 'main'}` }, o.submit);
  const node = h('form', {
    novalidate: true, class: 'form',
    /** @param {Event} event */
    async onsubmit(event) {
      event.preventDefault();
      if (b.getAttribute('aria-busy') === 'true') return;
      put(top);
      const shown = o.fields.filter((f) => !f.node.closest('[hidden]'));
      const bad = shown.filter((f) => !f.valid());
      if (bad[0]) {
        bad[0].input.focus();
        return;
      }
      b.setAttribute('aria-busy', 'true');
      try {
        await o.onsubmit();
      } catch (e) {
        if (e instanceof DOMException && e.name === 'AbortError') return;
        const named = e instanceof Error && 'field' in e && typeof e.field === 'string' ? e.field : null;
        const at = named ? shown.find((f) => f.names.includes(named)) : undefined;
        if (at) {
          at.setError(problem(e));
          at.input.focus();
        } else put(top, note('bad', problem(e)));
      } finally {
        b.removeAttribute('aria-busy');
      }
    },
  }, o.body ?? o.fields.map((f) => f.node), top, h('div', { class: 'actions' }, b, o.beside));
  return { node, button: b, submit: () => node.requestSubmit() };
}

/**
 * A place to drop or choose a file.
 * @param {{label: string, hint?: Child, accept?: string, onfile: (file: File) => void | Promise<unknown>}} o
 */
export function drop(o) {
  const id = freshId('drop');
  const box = h('div', { class: 'drop' });
  /** @param {File | null | undefined} file */
  const take = async (file) => {
    if (!file) return;
    box.classList.remove('over');
    try {
      await o.onfile(file);
    } catch (e) {
      toast(problem(e), 'bad');
    }
  };
  const input = h('input', {
    type: 'file', id, accept: o.accept ?? null, class: 'hidden-file', 'aria-describedby': o.hint ? `${id}-h` : null,
    async onchange() {
      await take(input.files?.[0]);
      input.value = '';
    },
  });
  box.addEventListener('dragover', (e) => {
    e.preventDefault();
    box.classList.add('over');
  });
  box.addEventListener('dragleave', () => box.classList.remove('over'));
  box.addEventListener('drop', (e) => {
    e.preventDefault();
    void take(e.dataTransfer?.files[0]);
  });
  put(box, input, h('label', { for: id, class: 'button' }, o.label), h('p', { class: 'quiet' }, 'or drop the file here'), o.hint ? h('p', { class: 'hint', id: `${id}-h` }, o.hint) : null);
  return box;
}

// Dialogs

/**
 * A modal dialog; Escape closes it, focus comes back to where it was.
 * @param {{title: string, body: Child, actions?: Child, onclose?: () => void, wide?: boolean}} o
 */
export function dialog(o) {
  const id = freshId('d');
  const back = document.activeElement;
  const d = h('dialog', { 'aria-labelledby': id, class: o.wide ? 'wide' : null },
    h('header', null, h('h2', { id }, o.title), h('button', { type: 'button', class: 'plain', 'aria-label': 'Close', onclick: () => d.close() }, '×')),
    h('div', { class: 'body' }, o.body),
    o.actions ? h('footer', { class: 'actions' }, o.actions) : null);
  d.addEventListener('close', () => {
    d.remove();
    if (back instanceof HTMLElement && back.isConnected) back.focus();
    o.onclose?.();
  });
  // A link inside leads away: the dialog does not stay over the next page.
  d.addEventListener('click', (e) => {
    if (e.target instanceof Element && e.target.closest('a[href^="/"]')) d.close();
  });
  document.body.append(d);
  d.showModal();
  const first = d.querySelector('.body input, .body select, .body textarea');
  if (first instanceof HTMLElement && first.offsetParent) first.focus();
  return { node: d, close: () => d.close() };
}

/**
 * Asks before something that counts; true when it was said yes to.
 * @param {{title: string, body: Child, yes: string, no?: string, danger?: boolean, type?: string}} o
 *   `type`: a word that must be typed first
 * @returns {Promise<boolean>}
 */
export function confirm(o) {
  return new Promise((resolve) => {
    let said = false;
    const typed = o.type ? field({ label: `Type “${o.type}” to go on`, name: 'confirm', required: true, check: (v) => (v === o.type ? null : `This is not “${o.type}”.`) }) : null;
    const d = dialog({
      title: o.title,
      body: [o.body, typed?.node],
      actions: [
        h('button', { type: 'button', class: 'button', onclick: () => d.close() }, o.no ?? 'Cancel'),
        h('button', {
          type: 'button', class: `button ${o.danger ? 'danger' : 'main'}`,
          onclick() {
            if (typed && !typed.valid()) {
              typed.input.focus();
              return;
            }
            said = true;
            d.close();
          },
        }, o.yes),
      ],
      onclose: () => resolve(said),
    });
  });
}

/**
 * Asks for some values; null when closed. What `act` refuses is shown in the form.
 * @template T
 * @param {{title: string, lead?: Child, fields: Field[], submit: string, danger?: boolean, act: () => Promise<T>}} o
 * @returns {Promise<T | null>}
 */
export function ask(o) {
  return new Promise((resolve) => {
    /** @type {T | null} */
    let got = null;
    const f = form({
      fields: o.fields, submit: o.submit, kind: o.danger ? 'danger' : 'main',
      async onsubmit() {
        got = await o.act();
        d.close();
      },
    });
    const d = dialog({ title: o.title, body: [o.lead, f.node], onclose: () => resolve(got) });
  });
}

// Shapes

/**
 * @template R
 * @typedef {object} TableColumn
 * @property {Child} label
 * @property {(row: R, index: number) => Child} cell
 * @property {boolean} [numeric] to the right, figures of one width
 * @property {boolean} [head] names the row
 * @property {string} [name] said before the cell on a phone, if label is no text
 */

/** What a cell holds as one thing: on a phone it stands beside its column's name. @param {Child} content @returns {Child} */
function one(content) {
  if (!Array.isArray(content)) return content;
  // Nothing at all stays nothing: such a cell is left out there.
  const said = content.filter((c) => c !== null && c !== undefined && c !== false && c !== '');
  return said.length > 1 ? h('div', null, said) : said;
}

/**
 * A table; on a phone each row is a card whose cells name their column.
 * @template R
 * @param {{caption: string, columns: TableColumn<R>[], rows: readonly R[], empty?: Child, hideCaption?: boolean, foot?: Child[], dense?: boolean, wordy?: boolean}} o wordy: cells hold sentences
 */
export function table(o) {
  if (o.rows.length === 0 && o.empty) return h('div', null, o.empty);
  const names = o.columns.map((c) => c.name ?? (typeof c.label === 'string' ? c.label : ''));
  const box = h('div', { class: o.wordy ? 'table wordy' : 'table' },
    h('table', { class: o.dense ? 'dense' : null },
      h('caption', { class: o.hideCaption === false ? null : 'hidden' }, o.caption),
      h('thead', null, h('tr', null, o.columns.map((c) => (c.label === '' ? h('td') : h('th', { scope: 'col', class: c.numeric ? 'n' : null }, c.label))))),
      h('tbody', null, o.rows.map((r, i) => h('tr', null, o.columns.map((c, j) => h(c.head ? 'th' : 'td', { class: c.numeric ? 'n' : null, 'data-label': names[j] ?? '', ...(c.head ? { scope: 'row' } : {}) }, one(c.cell(r, i))))))),
      o.foot ? h('tfoot', null, h('tr', null, o.foot.map((c, j) => h('td', { class: o.columns[j]?.numeric ? 'n' : null, 'data-label': names[j] ?? '' }, c)))) : null));
  // What scrolls must be reachable by keys; what does not is no stop on the way.
  new ResizeObserver(() => {
    const scrolls = box.scrollWidth > box.clientWidth + 1;
    if (scrolls === box.hasAttribute('tabindex')) return;
    if (scrolls) {
      box.tabIndex = 0;
      box.setAttribute('role', 'region');
      box.setAttribute('aria-label', `${o.caption}, table`);
    } else for (const a of ['tabindex', 'role', 'aria-label']) box.removeAttribute(a);
  }).observe(box);
  return box;
}

/**
 * How far something is; `set` takes 0 to 1, or null while nobody knows.
 * @param {string} label
 */
export function progress(label) {
  const bar = h('progress', { max: 1000, 'aria-label': label });
  const text = h('span', { class: 'small quiet' }, '');
  return {
    node: h('div', { class: 'progress' }, h('div', { class: 'progress-text' }, h('span', null, label), text), bar),
    /** @param {number | null} share @param {string} [say] */
    set(share, say) {
      if (share === null) bar.removeAttribute('value');
      else bar.value = Math.round(Math.min(1, Math.max(0, share)) * 1000);
      text.textContent = say ?? (share === null ? '' : `${Math.floor(share * 100)} %`);
    },
  };
}

/**
 * Tabs: arrows move between them.
 * @param {{label: string, key: string, body: () => Child}[]} all
 * @param {string} [first]
 * @param {(key: string) => void} [onchange]
 * @param {string} [name]
 */
export function tabs(all, first, onchange, name = 'Sections') {
  const id = freshId('t');
  const panel = h('div', { role: 'tabpanel', id: `${id}-p`, tabindex: 0 });
  /** @type {HTMLButtonElement[]} */
  const buttons = [];
  /** @param {number} i @param {boolean} [focus] */
  const show = (i, focus = false) => {
    for (const [j, b] of buttons.entries()) {
      b.setAttribute('aria-selected', String(i === j));
      b.tabIndex = i === j ? 0 : -1;
    }
    const t = all[i];
    if (!t) return;
    panel.setAttribute('aria-labelledby', `${id}-${i}`);
    put(panel, t.body());
    if (focus) buttons[i]?.focus();
    onchange?.(t.key);
  };
  for (const [i, t] of all.entries()) {
    buttons.push(h('button', {
      type: 'button', role: 'tab', id: `${id}-${i}`, 'aria-controls': `${id}-p`, onclick: () => show(i),
      /** @param {KeyboardEvent} e */
      onkeydown(e) {
        const to = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: all.length - 1 }[e.key];
        if (to === undefined) return;
        e.preventDefault();
        show((to + all.length) % all.length, true);
      },
    }, t.label));
  }
  const node = h('div', { class: 'tabs' }, h('div', { role: 'tablist', 'aria-label': name }, buttons), panel);
  show(Math.max(0, all.findIndex((t) => t.key === first)));
  return { node, show: (/** @type {string} */ key) => show(Math.max(0, all.findIndex((t) => t.key === key))) };
}

/**
 * A list that is fetched page by page: a connection of GraphQL.
 * @template R
 * @param {{fetch: (after: string | null) => Promise<{nodes: R[], pageInfo: {hasNextPage: boolean, endCursor: string | null}}>, show: (rows: R[]) => Node, what?: string}} o
 */
export function pages(o) {
  /** @type {R[]} */
  let rows = [];
  const list = h('div', { 'aria-live': 'polite' });
  const foot = h('div', { class: 'more' });
  /** @param {string | null} after */
  const load = async (after) => {
    if (after === null) {
      put(list, loading(o.what));
      put(foot);
    }
    try {
      const c = await o.fetch(after);
      rows = after === null ? c.nodes : [...rows, ...c.nodes];
      put(list, o.show(rows));
      put(foot, c.pageInfo.hasNextPage ? button('Show more', () => load(c.pageInfo.endCursor)) : null);
    } catch (e) {
      if (e instanceof DOMException && e.name === 'AbortError') return;
      if (after === null) put(list, failure(e, () => void load(null)));
      else throw e;
    }
  };
  void load(null);
  return { node: h('div', null, list, foot), reload: () => load(null) };
}
