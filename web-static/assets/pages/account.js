// @ts-check
/** One's account: profile, password, second factor, sessions, keys, letters, end. */
import { gql, save } from '../lib/api.js';
import { h, plural, put, s, when } from '../lib/dom.js';
import { loadSession, session } from '../lib/session.js';
import { ask, badge, button, confirm, copyButton, details, dialog, facts, field, form, hash, heading, later, mark, note, section, table, tag, toast } from '../lib/ui.js';
import { backUp, core, coreProblem, importForm, lacking, passphraseFields, registeredKey, unlocked } from '../lib/vault.js';

const ME = '{ me { id mail name roles verified secondFactor createdAt signingKeys { key revokedAt } preferences { orders listings budgets deadlines cash } } }';
const SESSIONS = '{ mySessions { id createdAt lastSeenAt expiresAt agent address current } }';

/** @typedef {{reload: () => Promise<void>, me: any}} Self */

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const box = h('div');
  /** @type {Self} */
  const self = {
    me: (await gql(ME, {}, { signal: ctx.signal })).me,
    async reload() {
      self.me = (await gql(ME, {}, { signal: ctx.signal })).me;
      draw();
    },
  };
  function draw() {
    put(box,
      heading('Account', { lead: [self.me.mail, ' · ', self.me.roles.map((/** @type {string} */ r) => r.toLowerCase()).join(', ')] }),
      profile(self), secondFactor(self), sessions(ctx), keys(self), letters(self), end(self, ctx));
  }
  draw();
  return { title: 'Account', crumbs: [{ label: 'Account' }], node: box };
}

/** Password, and the code where a second factor is on. @param {Self} self @param {string} [label] */
function proofs(self, label = 'Your password') {
  const password = field({ label, name: 'password', type: 'password', required: true, autocomplete: 'current-password', aliases: ['current'] });
  const code = field({ label: 'Code of your second factor', name: 'code', required: true, autocomplete: 'one-time-code', hint: 'Six digits from your app, or a recovery code.' });
  const fields = self.me.secondFactor ? [password, code] : [password];
  return { password, code: () => (self.me.secondFactor ? code.value().replaceAll(' ', '') : null), fields };
}

// Profile

/** @param {Self} self */
function profile(self) {
  const me = self.me;
  return section('Profile', h('div', { class: 'card' },
    facts([
      ['Name', h('span', { class: 'row spread' }, h('span', null, me.name), button('Change', () => changeName(self), { kind: 'quiet', label: 'Change the name' }))],
      ['Mail address', h('span', { class: 'row spread' }, h('span', null, me.mail, ' ', me.verified ? badge('approved', 'confirmed') : badge('waiting', 'not confirmed')), button('Change', () => changeMail(self), { kind: 'quiet', label: 'Change the mail address' }))],
      ['Password', h('span', { class: 'row spread' }, h('span', { class: 'quiet' }, 'not shown to anybody'), button('Change', () => changePassword(self), { kind: 'quiet', label: 'Change the password' }))],
      ['Account', h('span', null, hash(me.id, 36))],
      ['Since', when(me.createdAt)],
    ]),
    me.verified ? null : note('warn', h('p', null, 'Until your address is confirmed you can look around, but not list, order or move money.'), button('Send another letter', async () => {
      await gql('mutation { resendVerification }');
      toast('A letter is on its way.', 'good');
    }))));
}

/** @param {Self} self */
async function changeName(self) {
  const name = field({ label: 'Name', name: 'name', required: true, value: self.me.name, maxlength: 100, autocomplete: 'organization' });
  const done = await ask({ title: 'Change the name', fields: [name], submit: 'Change', act: () => gql('mutation($name: String!) { changeName(name: $name) { id } }', { name: name.value() }) });
  if (!done) return;
  await loadSession({ tell: true });
  await self.reload();
}

/** @param {Self} self */
async function changeMail(self) {
  const mail = field({ label: 'New mail address', name: 'mail', type: 'email', required: true, autocomplete: 'email' });
  const p = proofs(self);
  const done = await ask({
    title: 'Change the mail address', fields: [mail, ...p.fields], submit: 'Send the letter',
    lead: h('p', { class: 'quiet' }, 'We send a link to the new address; it takes the place of the present one when the link is followed. The present one is told.'),
    act: () => gql('mutation($mail: String!, $password: String!, $code: String) { changeMail(mail: $mail, password: $password, code: $code) }', { mail: mail.value(), password: p.password.value(), code: p.code() }),
  });
  if (done) toast('A letter is on its way to the new address.', 'good');
}

/** @param {Self} self */
async function changePassword(self) {
  const p = proofs(self, 'Present password');
  const fresh = field({ label: 'New password', name: 'password', type: 'password', required: true, autocomplete: 'new-password', minlength: 12, maxlength: 128, hint: '12 to 128 characters.' });
  const again = field({ label: 'The same again', name: 'again', type: 'password', required: true, autocomplete: 'new-password', check: (v) => (v === fresh.value() ? null : 'The two are not the same.') });
  p.password.names = ['current'];
  const done = await ask({
    title: 'Change the password', fields: [...p.fields, fresh, again], submit: 'Change', lead: h('p', { class: 'quiet' }, 'Your other sessions end.'),
    act: () => gql('mutation($current: String!, $password: String!, $code: String) { changePassword(current: $current, password: $password, code: $code) }', { current: p.password.value(), password: fresh.value(), code: p.code() }),
  });
  if (!done) return;
  toast('The password is changed.', 'good');
  await self.reload();
}

// Second factor

/** @param {Self} self */
function secondFactor(self) {
  const on = self.me.secondFactor;
  return section('Second factor', h('div', { class: 'card' },
    h('p', null, on ? mark(true, 'Signing in asks for a code of your authenticator app.') : 'With an authenticator app, a stolen password alone opens nothing.'),
    on ? button('Remove it', () => removeFactor(self)) : button('Set it up', () => setUpFactor(self), { kind: 'main' })));
}

/** @param {Self} self */
async function setUpFactor(self) {
  const password = field({ label: 'Your password', name: 'password', type: 'password', required: true, autocomplete: 'current-password' });
  const setup = await ask({
    title: 'Set up a second factor', fields: [password], submit: 'Go on',
    act: async () => (await gql('mutation($password: String!) { beginSecondFactor(password: $password) { secret uri qr qrSize } }', { password: password.value() })).beginSecondFactor,
  });
  if (!setup) return;
  const code = field({ label: 'The code that the app shows', name: 'code', required: true, inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 10 });
  const codes = await ask({
    title: 'Scan and confirm', fields: [code], submit: 'Turn it on',
    lead: [
      h('p', null, 'Scan this with an authenticator app:'),
      s('svg', { class: 'qr', viewBox: `-2 -2 ${setup.qrSize + 4} ${setup.qrSize + 4}`, role: 'img', 'aria-label': 'QR code of the secret below', 'shape-rendering': 'crispEdges' }, s('path', { d: setup.qr, fill: '#000' })),
      details('Or type the secret', h('p', { class: 'secret' }, setup.secret.replace(/(.{4})/g, '$1 ').trim()), copyButton(setup.secret, 'Copy the secret')),
    ],
    act: async () => (await gql('mutation($code: String!) { confirmSecondFactor(code: $code) }', { code: code.value().replaceAll(' ', '') })).confirmSecondFactor,
  });
  if (!codes) return;
  dialog({
    title: 'Your recovery codes',
    body: [
      h('p', null, 'Each opens your account once, if the app is lost. They are shown this once: print them or keep them in a password manager.'),
      h('ul', { class: 'codes' }, codes.map((/** @type {string} */ c) => h('li', null, c))),
      h('div', { class: 'actions' }, copyButton(codes.join('\n'), 'Copy all'), button('Download', () => save(new Blob([codes.join('\n') + '\n'], { type: 'text/plain' }), 'veilbourse-recovery-codes.txt'))),
    ],
    onclose: () => void self.reload(),
  });
  await loadSession({ tell: true });
}

/** @param {Self} self */
async function removeFactor(self) {
  const p = proofs(self);
  const done = await ask({
    title: 'Remove the second factor', fields: p.fields, submit: 'Remove', danger: true, lead: h('p', null, 'Your password alone will open the account. You are told by mail.'),
    act: () => gql('mutation($password: String!, $code: String!) { disableSecondFactor(password: $password, code: $code) }', { password: p.password.value(), code: p.code() }),
  });
  if (!done) return;
  await loadSession({ tell: true });
  await self.reload();
}

// Sessions

/** @param {import('../lib/router.js').Context} ctx */
function sessions(ctx) {
  const list = later(async () => {
    const all = (await gql(SESSIONS, {}, { signal: ctx.signal })).mySessions;
    return h('div', { class: 'stack' },
      table({
        caption: 'Sessions', rows: /** @type {any[]} */ (all), columns: [
          { label: 'Program', head: true, cell: (x) => [x.agent ? agent(x.agent) : 'unknown', x.current ? [' ', badge('active', 'this one')] : null] },
          { label: 'Address', cell: (x) => x.address },
          { label: 'Last used', cell: (x) => when(x.lastSeenAt, { relative: true }) },
          { label: 'Began', cell: (x) => when(x.createdAt) },
          { label: 'Ends', cell: (x) => when(x.expiresAt) },
          {
            label: '', cell: (x) => (x.current ? null : button('End', async () => {
              await gql('mutation($id: String!) { revokeSession(id: $id) }', { id: x.id });
              toast('The session has ended.', 'good');
              list.reload();
            }, { kind: 'quiet' })),
          },
        ],
      }),
      button('Sign out everywhere', async () => {
        if (!(await confirm({ title: 'Sign out everywhere?', body: h('p', null, 'All sessions end, this one too.'), yes: 'Sign out everywhere' }))) return;
        await gql('mutation { logout(everywhere: true) }');
        await loadSession({ tell: true });
        ctx.go('/signin');
      }));
  }, 'Loading sessions');
  return section('Where you are signed in', list.node);
}

/** A browser's own name out of what it sends. @param {string} text */
function agent(text) {
  const b = /(Edg|Firefox|Chrome|Version)\/(\d+)/.exec(text);
  const os = /(Windows|Mac OS X|Android|iPhone|iPad|Linux)/.exec(text);
  const names = /** @type {Record<string, string>} */ ({ Edg: 'Edge', Version: 'Safari' });
  return h('span', { title: text }, b ? `${/Edg\//.test(text) ? 'Edge' : names[b[1] ?? ''] ?? b[1]} ${/Edg\//.test(text) ? /Edg\/(\d+)/.exec(text)?.[1] : b[2]}${os ? `, ${os[1]}` : ''}` : text.slice(0, 60));
}

// Vault and keys

/** @param {Self} self */
function keys(self) {
  const box = h('div', { class: 'stack' });
  const listed = table({
    caption: 'Registered signing keys', rows: /** @type {any[]} */ (self.me.signingKeys),
    empty: h('p', { class: 'quiet' }, 'No signing key is registered yet. One is made with your vault, when you first order or list.'),
    columns: [
      { label: 'Key', head: true, cell: (k) => hash(k.key, 24) },
      { label: 'State', cell: (k) => (k.revokedAt ? [badge('voided', 'revoked'), ' ', when(k.revokedAt)] : badge('active')) },
      {
        label: '', cell: (k) => (k.revokedAt ? null : button('Revoke', async () => {
          if (!(await confirm({ title: 'Revoke this key?', danger: true, yes: 'Revoke', body: h('p', null, 'Nothing that it signs is accepted any more. Orders under way go on. It cannot be taken back.') }))) return;
          await gql('mutation($key: String!) { revokeSigningKey(key: $key) }', { key: k.key });
          toast('The key is revoked.', 'good');
          await self.reload();
        }, { kind: 'quiet' })),
      },
    ],
  });
  put(box, h('p', { class: 'quiet' }, 'The cryptography is loaded when you need it.'), button('Show the vault', () => vault(), { kind: 'main' }));
  async function vault() {
    const missing = await lacking();
    if (missing) {
      put(box, note('bad', h('p', null, `This browser lacks ${missing.join(', ')}: keys cannot be kept here.`)));
      return;
    }
    const c = await core();
    const v = await c.vaultState();
    /** @param {() => Promise<unknown>} act */
    const then = (act) => async () => {
      try {
        await act();
      } catch (e) {
        throw new Error(coreProblem(e) ?? (e instanceof Error ? e.message : String(e)), { cause: e });
      }
      await vault();
    };
    if (!v.exists) {
      put(box, h('p', null, 'There is no vault in this browser.'),
        h('div', { class: 'actions' }, button('Make one', then(async () => {
          const open = await unlocked('Your signing key is made with it.');
          if (open && session()) await registeredKey(open, self.me.id);
          await self.reload();
        }), { kind: 'main' })),
        details('Restore one from a backup file', importForm(c, () => void vault())));
      return;
    }
    put(box,
      facts([
        ['State', v.inUse && !v.unlocked ? badge('waiting', 'open in another tab') : v.unlocked ? badge('active', 'unlocked') : badge('paused', 'locked')],
        v.keys ? ['Signing keys', v.keys.map((k) => [hash(k.key, 24), ' '])] : null,
        v.datasets ? ['Data keys', v.datasets.length ? v.datasets.map((d) => [tag(d.name), ' ']) : 'none'] : null,
        v.orders !== null ? ['Orders it opens', v.orders] : null,
        v.unsaved ? ['Not in any backup', h('strong', null, plural(v.unsaved, 'entry', 'entries'))] : null,
        v.kdf ? ['Sealed with', `Argon2id, ${v.kdf.memoryKib / 1024} MiB, ${v.kdf.passes} passes, ${v.kdf.lanes} lanes`] : null,
        v.marketplace ? ['Trusts the marketplace', hash(v.marketplace, 24)] : null,
      ]),
      h('div', { class: 'actions' },
        v.unlocked ? button('Lock', then(() => c.vaultLock())) : button('Unlock', then(() => unlocked('To see what it holds.')), { kind: 'main' }),
        button('Download a backup', then(async () => {
          await backUp(c);
          toast('Backup downloaded. Keep the passphrase apart from it.', 'good');
        }), { kind: v.unsaved ? 'main' : '' }),
        v.unlocked ? button('Register its key', then(async () => {
          if (await registeredKey(c, self.me.id)) await self.reload();
        })) : null,
        button('Change the passphrase', then(async () => {
          const old = field({ label: 'Present passphrase', name: 'old', type: 'password', required: true, autocomplete: 'current-password' });
          const f = passphraseFields();
          if (await ask({ title: 'Change the passphrase', fields: [old, f.first, f.again], submit: 'Change', act: () => c.vaultPassphrase(old.value(), f.first.value()) })) toast('The passphrase is changed. Older backups keep the old one.', 'good');
        }))),
      v.unlocked ? details('Add a backup’s entries', importForm(c, () => void vault())) : null,
      details('Erase the vault', h('p', null, 'All keys in this browser are gone then. Without a backup, results that you paid for cannot be opened and listings cannot be managed.'), button('Erase the vault', then(async () => {
        const phrase = field({ label: 'Passphrase', name: 'passphrase', type: 'password', required: true, autocomplete: 'current-password' });
        const word = field({ label: 'Type “erase” to go on', name: 'confirm', required: true, check: (x) => (x === 'erase' ? null : 'This is not “erase”.') });
        await ask({ title: 'Erase the vault?', danger: true, fields: [phrase, word], submit: 'Erase', act: async () => {
          await c.vaultDestroy(phrase.value());
          return true;
        } });
      }), { kind: 'danger' })));
  }
  return section('Keys and vault', h('div', { class: 'stack' },
    h('div', { class: 'card' }, h('p', null, 'What signs for you and what opens your results lies in a vault in this browser, encrypted under a passphrase. The marketplace never has it, and cannot restore it.'), box), listed));
}

// Letters

/** @param {Self} self */
function letters(self) {
  const p = self.me.preferences;
  const all = [
    { key: 'orders', label: 'Orders', hint: 'placed, delivered, refunded; and those on your datasets' },
    { key: 'listings', label: 'Listings', hint: 'submitted, published, sent back' },
    { key: 'budgets', label: 'Budgets', hint: 'quotas and tickets that run low' },
    { key: 'deadlines', label: 'Deadlines', hint: 'orders that near their deadline unopened' },
    { key: 'cash', label: 'Money', hint: 'deposits and withdrawals' },
  ].map((x) => ({ ...x, field: field({ label: x.label, name: x.key, type: 'checkbox', checked: p[x.key], hint: x.hint }) }));
  const f = form({
    fields: all.map((x) => x.field), submit: 'Save', body: h('div', { class: 'choices' }, all.map((x) => x.field.node)),
    beside: h('a', { href: '/mails' }, 'Letters sent so far'),
    async onsubmit() {
      await gql('mutation($p: MailPreferencesInput!) { setMailPreferences(preferences: $p) { orders } }', { p: Object.fromEntries(all.map((x) => [x.key, x.field.checked()])) });
      toast('Saved.', 'good');
    },
  });
  return section('Letters', h('div', { class: 'card' }, h('p', { class: 'quiet' }, 'Letters about the account itself (a changed password, say) always come.'), f.node), { id: 'letters' });
}

// The end

/** @param {Self} self @param {import('../lib/router.js').Context} ctx */
function end(self, ctx) {
  return section('Delete the account', h('div', { class: 'card' },
    h('p', null, 'Your name and address are erased; the ledger keeps its entries under a number. It is refused while credits, open orders, live listings or approved machines are left.'),
    button('Delete the account', async () => {
      const p = proofs(self);
      const word = field({ label: `Type “${self.me.mail}” to go on`, name: 'confirm', required: true, check: (v) => (v === self.me.mail ? null : 'This is not your mail address.') });
      const done = await ask({
        title: 'Delete the account for good?', danger: true, fields: [word, ...p.fields], submit: 'Delete for good',
        act: () => gql('mutation($password: String!, $code: String) { deleteAccount(password: $password, code: $code) }', { password: p.password.value(), code: p.code() }),
      });
      if (!done) return;
      await loadSession({ tell: true });
      toast('The account is deleted.');
      ctx.go('/');
    }, { kind: 'danger' })));
}
