// @ts-check
/** Step 1: a file becomes columns, and those are encrypted. */
import { bytes, count, h, plural, put, real } from '../../lib/dom.js';
import { button, drop, empty, figure, figures, note, progress, section, table, tag } from '../../lib/ui.js';
import { columnDialog, settings } from './schema-form.js';

/**
 * @typedef {import('../../core/core.js').Core} Core
 * @typedef {import('../../core/core.js').Draft} Draft
 * @typedef {import('../../core/core.js').Inspection} Inspection
 * @typedef {import('../../core/core.js').Schema} Schema
 */

/** What a stage of the core is in words. @type {Record<string, string>} */
export const STAGES = {
  read: 'Reading the table', encrypt: 'Encrypting', commit: 'Committing to the ciphertexts', prove: 'Proving the listing', twin: 'Sampling the twin',
  upload: 'Uploading', deal: 'Dealing tickets', seal: 'Sealing to the nodes', tickets: 'Uploading tickets',
};

/**
 * @param {{core: () => Promise<Core | null>, unlock: () => Promise<Core | null>, busy: (b: boolean) => void, done: (core: Core, draft: Draft) => void}} o
 */
export function tableStep(o) {
  const out = h('div', { class: 'stack', 'aria-live': 'polite' });
  const dropped = drop({
    label: 'Choose a table',
    accept: '.csv,.tsv,.txt,.parquet,text/csv',
    hint: 'CSV with a header line, or Parquet. Nothing is sent: the file is read in this browser.',
    async onfile(file) {
      const core = await o.core();
      if (core) await look(core, file, null);
    },
  });

  let turn = 0;
  /** @param {Core} core @param {File} file @param {Schema | null} schema */
  const look = async (core, file, schema) => {
    turn += 1;
    const mine = turn;
    if (!schema) put(out, h('p', { class: 'quiet', role: 'status' }, `Reading ${file.name}…`));
    const seen = await core.inspect(file, schema, file.name.replace(/\.[^.]+$/, ''));
    if (mine === turn) put(out, shown(core, file, seen));
  };

  /** @param {Core} core @param {File} file @param {Inspection} seen */
  const shown = (core, file, seen) => {
    /** @param {Schema} schema */
    const change = (schema) => look(core, file, schema);
    const r = seen.report;
    const bar = h('div');
    const encrypt = button(`Encrypt ${count(seen.values)} values`, async () => {
      const open = await o.unlock();
      if (!open) return;
      const p = progress('Encrypting');
      put(bar, p.node);
      o.busy(true);
      try {
        const made = await open.encrypt({ file, schema: seen.schema }, { onProgress: (s) => p.set(s.total > 0 ? s.done / s.total : null, STAGES[s.stage] ?? s.stage) });
        const draft = (await open.drafts()).find((d) => d.id === made.id);
        if (!draft) throw new Error('the encrypted dataset was not kept: is this browser’s storage full?');
        o.done(open, draft);
      } finally {
        o.busy(false);
        put(bar);
      }
    }, { kind: 'main', disabled: !r || seen.messageLog2 === null });
    return h('div', { class: 'stack' },
      figures(
        figure('File', file.name, `${seen.format.toUpperCase()}, ${bytes(seen.bytes)}`),
        figure('Rows', r ? count(r.rows) : '–', r ? plural(r.segments.length, 'segment') : null),
        figure('Encrypted columns', r ? count(r.columns.length) : '–', r ? `${count(seen.values)} values` : null),
        figure('To be uploaded', bytes(seen.uploadBytes), 'ciphertexts, commitments, twin')),
      seen.refusal ? note('bad', h('p', null, h('strong', null, seen.refusal.column ? `Column “${seen.refusal.column}”: ` : ''), seen.refusal.message), h('p', { class: 'small' }, 'Change the column or the settings below, or mend the file.')) : null,
      r && seen.messageLog2 === null ? note('bad', 'Values this fine do not fit the noise budget: hold columns in fewer bits.') : null,
      (r?.notes ?? []).map((n) => note('plain', n)),
      settings({ seen, change }),
      section('Columns', columns(seen, change), { lead: 'Names, units, ranges and scales become public; the values never do.' }),
      r && r.dropped.length > 0 ? section('Left out', leftOut(seen, change), { lead: 'A sum over what few rows have is a statement about them. Suppressed columns are not encrypted at all.' }) : null,
      section('First rows', table({ caption: 'First rows of the file, seen by you alone', dense: true, rows: seen.sample, columns: seen.headers.map((name, i) => ({ label: name, cell: (/** @type {string[]} */ row) => row[i] ?? '' })) }), { lead: 'Seen by you alone.' }),
      h('div', { class: 'actions' }, encrypt, button('Another file', () => { put(out); })), bar);
  };
  return h('div', { class: 'stack' }, dropped, out);
}

/** @param {Inspection} seen @param {(s: Schema) => Promise<void>} change */
function columns(seen, change) {
  const r = seen.report;
  const rows = seen.headers.map((name) => ({
    name,
    own: (r?.columns ?? []).filter((c) => c.source.length === 1 && c.source[0] === name && c.kind !== 'square'),
    key: (seen.schema.segment_by ?? []).includes(name),
    set: seen.schema.columns?.[name] ?? {},
  }));
  return table({
    caption: 'Columns of the file', rows,
    columns: [
      { label: 'Column', head: true, cell: (c) => c.name },
      { label: 'Held as', cell: (c) => (c.key ? tag('segment key, public') : c.set.kind === 'drop' ? 'not at all' : c.own[0]?.kind === 'category' ? h('span', null, `${plural(c.own.length, 'category', 'categories')} `, c.own.slice(0, 6).map((x) => tag(x.name.slice(x.name.indexOf('=') + 1)))) : c.own[0] ? 'number' : h('span', { class: 'quiet' }, 'left out')) },
      { label: 'Unit', cell: (c) => c.set.unit ?? '' },
      { label: 'Published range', numeric: true, cell: (c) => (c.own[0]?.kind === 'numeric' ? `${real(c.own[0].min)} to ${real(c.own[0].max)}` : '') },
      { label: 'Largest error', numeric: true, cell: (c) => (c.own[0]?.kind === 'numeric' ? real(c.own[0].max_error, 3) : '') },
      { label: 'Changed cells', numeric: true, cell: (c) => {
        const [clipped, imputed] = [c.own.reduce((n, x) => n + x.clipped, 0), c.own.reduce((n, x) => n + x.imputed, 0)];
        return [clipped ? `${count(clipped)} clipped ` : '', imputed ? `${count(imputed)} filled in` : ''];
      } },
      { label: h('span', { class: 'hidden' }, 'Change'), name: 'Change', cell: (c) => button('Change', async () => {
        const next = await columnDialog(seen.schema, c.name);
        if (next) await change(next);
      }, { kind: 'quiet', label: `Change column ${c.name}` }) },
    ],
  });
}

/** @param {Inspection} seen @param {(s: Schema) => Promise<void>} change */
function leftOut(seen, change) {
  const dropped = seen.report?.dropped ?? [];
  const kept = (seen.report?.columns ?? []).filter((c) => c.kept_reason);
  const keep = new Set(seen.schema.suppression?.keep ?? []);
  /** @param {string} name @param {boolean} yes */
  const set = (name, yes) => {
    const next = new Set(keep);
    if (yes) next.add(name);
    else next.delete(name);
    return change({ ...seen.schema, suppression: { ...seen.schema.suppression, keep: [...next] } });
  };
  return h('div', { class: 'stack' },
    table({
      caption: 'Columns left out', rows: dropped, dense: true, empty: empty('Nothing is left out', 'No column rests on few rows.'),
      columns: [
        { label: 'Column', head: true, cell: (d) => d.name },
        { label: 'Why', cell: (d) => d.text },
        { label: h('span', { class: 'hidden' }, 'Keep'), name: 'Keep', cell: (d) => (d.suppressed ? button('Keep anyway', () => set(d.name, true), { kind: 'quiet', label: `Keep ${d.name} anyway` }) : null) },
      ],
    }),
    kept.length > 0
      ? note('warn', h('p', null, h('strong', null, 'Kept although few rows stand behind: ')), h('ul', null, kept.map((c) => h('li', null, `${c.name}: ${c.kept_reason} `, button('Leave it out', () => set(c.name, false), { kind: 'quiet', label: `Leave ${c.name} out` })))))
      : null);
}
