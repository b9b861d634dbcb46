// @ts-check
/**
 * The core and its vault, as pages ask for them: the core is fetched at the
 * first need, the passphrase is asked for when something must be signed or
 * opened.
 */
import { credits, h, pieces } from './dom.js';
import { gql, save } from './api.js';
import { onSession } from './session.js';
import { button, confirm, dialog, drop, field, form, note, progress, toast } from './ui.js';

/** @typedef {import('../core/core.js').Core} Core */
/** @typedef {import('../core/core.js').VaultState} VaultState */

/** @type {Promise<Core> | null} */
let opening = null;

/**
 * The core; fetched and started once.
 * @returns {Promise<Core>}
 */
export function core() {
  opening ??= import('../core/core.js').then((m) => m.openCore()).catch((e) => {
    opening = null;
    throw e;
  });
  return opening;
}

// The keys are the person's who unlocked them: whoever signs in next in this tab
// must not find them open (WEB-9). The worker ends at once, whatever it was doing.
onSession((_, pageIsTheirs) => {
  if (pageIsTheirs || !opening) return;
  const gone = opening;
  opening = null;
  gone.then((c) => c.close(), () => {});
});

/**
 * The core, or null after saying what this browser lacks.
 * @returns {Promise<Core | null>}
 */
export async function theCore() {
  const missing = await lacking();
  if (!missing) return core();
  dialog({
    title: 'This browser cannot do it',
    body: [
      h('p', null, `It lacks ${missing.join(', ')}. Encryption, keys and proofs are handled in the browser here, so nothing of it can be left to the server.`),
      h('p', null, 'Use a current version of Firefox, Chrome, Edge or Safari, or the command line: it does the same.'),
    ],
  });
  return null;
}

/**
 * The core with its vault unlocked and a signing key that the account has
 * registered; null when the person turned back.
 * @param {{account: {id: string}, why: string}} o
 * @returns {Promise<Core | null>}
 */
export async function openVault({ account, why }) {
  if (!(await theCore())) return null;
  const c = await unlocked(why);
  return c && (await registeredKey(c, account.id)) ? c : null;
}

/** What to say of this browser where it lacks something, or null. */
export async function lacking() {
  const m = await import('../core/core.js');
  const s = m.coreSupport();
  return s.missing.length ? s.missing : null;
}

/**
 * Shows what the core reports, in a bar.
 * @param {string} label
 */
export function coreProgress(label) {
  const p = progress(label);
  p.set(null);
  /** @type {Record<string, string>} */
  const stages = { read: 'reading', encrypt: 'encrypting', commit: 'committing', prove: 'proving', upload: 'uploading', deal: 'dealing', seal: 'sealing', tickets: 'tickets', twin: 'sampling', open: 'opening' };
  return {
    node: p.node,
    /** @param {import('../core/core.js').Progress} x */
    on(x) {
      p.set(x.total > 0 ? x.done / x.total : null, `${stages[x.stage] ?? x.stage}${x.total > 0 ? ` ${Math.floor((100 * x.done) / x.total)} %` : ''}`);
    },
    done: () => p.set(1),
  };
}

/** What stands beside every question for the passphrase. */
function whatItIs() {
  return h('p', { class: 'small quiet' }, 'The vault holds the keys that sign your orders and open your results, encrypted in this browser. The marketplace never sees it and cannot restore it: keep a backup file and remember the passphrase.');
}

/**
 * The core with its vault unlocked, or null when the person closed the dialog.
 * @param {string} [why] what it is needed for
 * @returns {Promise<Core | null>}
 */
export async function unlocked(why = 'This needs your keys.') {
  const c = await core();
  const state = await c.vaultState();
  if (state.inUse && !state.unlocked) throw Object.assign(new Error('Your vault is open in another tab of this browser. Go on there, or close it and try again.'), { code: 'IN_USE' });
  if (state.exists && state.unlocked) return c;
  return state.exists ? askPassphrase(c, why) : askForVault(c, why);
}

/**
 * @param {Core} c
 * @param {string} why
 * @returns {Promise<Core | null>}
 */
function askPassphrase(c, why) {
  return new Promise((resolve) => {
    let open = false;
    const passphrase = field({ label: 'Passphrase of your vault', name: 'passphrase', type: 'password', required: true, autocomplete: 'current-password' });
    const f = form({
      fields: [passphrase], submit: 'Unlock',
      async onsubmit() {
        try {
          await c.vaultUnlock(passphrase.value());
        } catch (e) {
          if (e instanceof Error && 'code' in e && e.code === 'VAULT_REFUSED') {
            passphrase.setError('This passphrase does not open the vault.');
            passphrase.input.focus();
            return;
          }
          throw e;
        }
        open = true;
        d.close();
      },
    });
    const d = dialog({ title: 'Unlock your vault', body: [h('p', null, why), f.node, whatItIs()], onclose: () => resolve(open ? c : null) });
    passphrase.input.focus();
  });
}

/**
 * The two fields of a new passphrase.
 */
export function passphraseFields() {
  const first = field({ label: 'Passphrase', name: 'passphrase', type: 'password', required: true, autocomplete: 'new-password', minlength: 12, hint: 'At least 12 characters. It is not your account’s password.' });
  const again = field({ label: 'The same again', name: 'again', type: 'password', required: true, autocomplete: 'new-password', check: (v) => (v === first.value() ? null : 'The two are not the same.') });
  return { first, again };
}

/**
 * @param {Core} c
 * @param {string} why
 * @returns {Promise<Core | null>}
 */
function askForVault(c, why) {
  return new Promise((resolve) => {
    let open = false;
    const { first, again } = passphraseFields();
    const f = form({
      fields: [first, again], submit: 'Make the vault',
      async onsubmit() {
        await c.vaultCreate(first.value());
        open = true;
        d.close();
      },
    });
    const d = dialog({
      title: 'Make your vault',
      body: [h('p', null, why), h('p', null, 'You have no vault in this browser yet. Choose a passphrase for it.'), f.node, whatItIs(),
        h('details', null, h('summary', null, 'I have a backup file'), h('div', { class: 'body' }, importForm(c, () => {
          open = true;
          d.close();
        })))],
      onclose: () => resolve(open ? c : null),
    });
    first.input.focus();
  });
}

/**
 * Takes a backup file and its passphrase.
 * @param {Core} c
 * @param {() => void} done
 */
export function importForm(c, done) {
  /** @type {File | null} */
  let file = null;
  const chosen = h('p', { class: 'small', 'aria-live': 'polite' });
  const passphrase = field({ label: 'Passphrase of the backup', name: 'passphrase', type: 'password', required: true, autocomplete: 'off' });
  const f = form({
    fields: [passphrase], submit: 'Restore',
    body: pieces(drop({
      label: 'Choose the backup file',
      onfile(x) {
        file = x;
        chosen.textContent = x.name;
      },
    }), chosen, passphrase.node),
    async onsubmit() {
      if (!file) throw new Error('Choose the backup file first.');
      await c.vaultImport(file, passphrase.value());
      toast('The backup is restored.', 'good');
      done();
    },
  });
  return f.node;
}

/**
 * Hands the backup file to the downloads.
 * @param {Core} c
 */
export async function backUp(c) {
  const file = await c.vaultExport();
  save(file, `veilbourse-vault-${new Date().toISOString().slice(0, 10)}.vault`);
}

/**
 * Makes sure that the vault's signing key is registered for the account; false
 * when the person does not want that.
 * @param {Core} c
 * @param {string} account
 */
export async function registeredKey(c, account) {
  const key = await c.signingKey();
  const data = await gql('{ me { signingKeys { key revokedAt } } }');
  const mine = data.me.signingKeys.find((/** @type {any} */ k) => k.key === key);
  if (mine?.revokedAt) throw Object.assign(new Error('The signing key of this vault was revoked for your account. Under Account, Keys, back this vault up and erase it, then restore another or make a new one.'), { code: 'SIGNING_KEY_UNKNOWN' });
  if (!(await trusted(c))) return false;
  if (mine) return true;
  await c.registerKey(account);
  toast('Your signing key is registered.', 'good');
  return true;
}

/**
 * Whether the marketplace's key is pinned, or the person says that it is the right
 * one. Pinned is the very key that was looked at: were it asked for again, the server
 * could show one to the person and another to the vault (WEB-10).
 * @param {Core} c
 * @param {(key: string) => Promise<boolean>} [ask]
 */
export async function trusted(c, ask = isRight) {
  const m = await c.marketplaceKey();
  if (m.pinned) return true;
  if (!(await ask(m.key))) return false;
  await c.pinMarketplace(m.key);
  return true;
}

/** @param {string} key */
function isRight(key) {
  return confirm({
    title: 'Is this the right marketplace?',
    body: [h('p', null, 'Your keys will work with the marketplace of this key from now on, and refuse any other. Compare it with the one that the operator publishes elsewhere.'), h('p', { class: 'secret' }, key)],
    yes: 'It is the right one',
  });
}

/**
 * What the refusals of the core mean, where the code says more than the text.
 * @param {unknown} e
 * @returns {string | null}
 */
export function coreProblem(e) {
  if (!(e instanceof Error) || !('code' in e)) return null;
  const x = /** @type {Error & {code: string, field?: string, limit?: string, value?: string}} */ (e);
  switch (x.code) {
    case 'PRICE': return x.limit && x.value ? `The price is ${credits(x.value)} now, above the ${credits(x.limit)} that you agreed to. Nothing was signed.` : x.message;
    case 'MARKETPLACE_KEY': return 'This server shows another marketplace key than the one your vault trusts. Nothing was signed. Do not go on unless the operator has announced a new key.';
    case 'ORDER_UNKNOWN': return 'The key that opens this order is not in this browser’s vault. Restore the vault of the browser that placed it.';
    case 'UNSUPPORTED': return `This browser lacks ${x.field ?? 'something'} that the cryptography here needs. Use a current Chrome, Edge, Firefox or Safari, or the command line.`;
    default: return null;
  }
}

/** A reminder to back up, where there is something that no backup has. @param {Core} c */
export async function backupReminder(c) {
  const s = await c.vaultState();
  if (!s.unsaved) return null;
  return note('warn', h('p', null, h('strong', null, 'Back up your vault. '), `It holds ${s.unsaved === 1 ? 'an entry' : `${s.unsaved} entries`} that no backup has. If this browser’s data are cleared, results that you paid for cannot be opened any more.`),
    button('Download the backup', async () => {
      await backUp(c);
      toast('Backup downloaded.', 'good');
    }));
}
