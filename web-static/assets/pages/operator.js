// @ts-check
/** Operators of pods and key nodes: how theirs are, and how to start one. */
import { gql } from '../lib/api.js';
import { count, credits, h, total, when } from '../lib/dom.js';
import { bars } from '../lib/plot.js';
import { badge, copyButton, empty, facts, figure, figures, hash, heading, note, section, table, tabs } from '../lib/ui.js';
import { WORK, running } from './admin/machines.js';
import { all } from './parts/staff.js';

const MACHINES = `query OwnMachines($after: String) { machines(first: 100, after: $after) {
  nodes { id kind operator name signingKey decision reason } pageInfo { hasNextPage endCursor } } }`;

/** A machine that was heard of within this is taken to be at work. */
const LATELY = 180_000;

/** @typedef {{id: string, kind: string, operator: string, name: string, signingKey: string, decision: string, reason: string, work: any}} Machine */

/**
 * Lines for a shell, to be copied.
 * @param {string} text
 */
function shell(text) {
  return h('div', { class: 'stack' }, h('pre', null, h('code', null, text)), copyButton(text));
}

/** @param {string} mail */
function account(mail) {
  return `export VEILBOURSE_SERVER=${location.origin}\nexport VEILBOURSE_EMAIL='${mail.replaceAll("'", "'\\''")}'\nread -rs VEILBOURSE_PASSWORD && export VEILBOURSE_PASSWORD`;
}

/** @type {import('../lib/router.js').Page} */
export async function page(ctx) {
  const me = ctx.account;
  if (!me) throw new Error('somebody is signed in here');
  const [{ marketplace }, { rows }] = await Promise.all([
    gql('{ marketplace { key id srsProvenance srs } }', {}, { signal: ctx.signal }),
    all(async (after) => (await gql(MACHINES, { after }, { signal: ctx.signal })).machines),
  ]);
  const own = rows.filter((/** @type {any} */ m) => m.operator === me.id);
  /** @type {Machine[]} */
  const mine = await Promise.all(own.map(async (/** @type {any} */ m) => ({ ...m, work: (await gql(WORK, { id: m.id }, { signal: ctx.signal })).machineWork })));
  const pods = mine.filter((m) => m.kind === 'pod');
  const nodes = mine.filter((m) => m.kind === 'node');
  const heard = (/** @type {Machine} */ m) => m.work.lastSeenAt && Date.now() - Number(m.work.lastSeenAt) < LATELY;
  const dev = marketplace.srsProvenance === 'dev';

  /** @param {Machine[]} list @param {string} none */
  const shown = (list, none) => table({
    caption: none, rows: list, empty: empty(none, 'Below is how to start one.'),
    columns: [
      { label: 'Name', head: true, cell: (m) => m.name },
      { label: 'Admission', cell: (m) => [badge(m.decision), m.reason ? h('p', { class: 'small quiet' }, m.reason) : null] },
      { label: 'Heard of', cell: (m) => (m.decision !== 'approved' ? '' : heard(m) ? badge('active', 'at work') : [badge('warning', m.work.lastSeenAt ? 'silent' : 'never'), ' ', m.work.lastSeenAt ? when(m.work.lastSeenAt, { relative: true }) : null]) },
      { label: 'Jobs done', numeric: true, cell: (m) => count(m.work.jobsDone) },
      { label: 'Failed', numeric: true, cell: (m) => count(m.work.jobsFailed) },
      { label: 'At work on', cell: (m) => (m.work.running.length > 0 ? m.work.running.map((/** @type {any} */ r) => h('p', null, hash(r.order, 13), ` ${running(r)}`)) : '–') },
      { label: 'Earned', numeric: true, cell: (m) => credits(m.work.earned) },
      { label: 'Signing key', cell: (m) => hash(m.signingKey, 10) },
    ],
  });

  const login = account(me.mail);
  const https = location.protocol === 'https:' ? note('warn', 'Machines speak plain HTTP: give them the end of a tunnel (VPN or ssh -L) as VEILBOURSE_SERVER, not this https address.') : null;
  const startPod = () => h('div', { class: 'stack' },
    h('p', null, 'A pod evaluates on ciphertexts and proves it. It sees private models that are sealed to it, and is paid its part of each price.'), https,
    shell(`${login}\nveilbourse pod --init --name "pod 1"      # writes pod.key, registers; compare the key it prints\n# an admin approves it; then:\nveilbourse pod --srs ${dev ? 'srs-dev.bin' : 'srs.bin'}                 # the file that this marketplace’s keys were made from`),
    facts([['Marketplace key', hash(marketplace.key, 64)], ['SRS', [hash(marketplace.srs, 32), ` ${marketplace.srsProvenance}`]]]));
  const startNode = () => h('div', { class: 'stack' },
    h('p', null, 'A committee has two to five nodes; any t of them open, fewer learn nothing. Run yours where nobody else of the committee administers.'), https,
    shell(`${login}\nveilbourse key-node --init --member --name "Clinic A"       # makes the folder key-node, registers\nveilbourse key-node --keys accepted-keys.json               # the server’s file, checked by whom you trust\nveilbourse key-node --name "Clinic A" --entry HOST:7401 > clinic-a.json`),
    h('p', null, 'One of the members puts the entries together and hands the file to all, who compare the keys by another way than the file:'),
    shell(`veilbourse committee make --threshold 2 --marketplace ${marketplace.key} clinic-a.json clinic-b.json clinic-c.json`),
    h('p', null, 'Then each member, once an admin has approved the node:'),
    shell(`veilbourse key-node --committee committee.json              # takes its seat\nveilbourse key-node${dev ? ' --accept-dev-srs' : ''} --metrics 127.0.0.1:9400   # runs; Ctrl-C ends it`));
  const startHeld = () => h('div', { class: 'stack' },
    h('p', null, 'In custodian-held custody the custodian runs one node that holds the dataset’s key, and learns every result.'), https,
    shell(`${login}\nveilbourse key-node --init                                     # prints its signing key, which the policy names\nveilbourse key-node --keys accepted-keys.json\nveilbourse key-node --add FOLDER --custodian YOUR_PUBLIC_KEY   # the folder that encrypting wrote\n# an admin approves it; then:\nveilbourse key-node${dev ? ' --accept-dev-srs' : ''}`));

  return {
    title: 'Pods and key nodes', crumbs: [{ label: 'Pods and key nodes' }],
    node: h('div', { class: 'stack-large' },
      heading('Pods and key nodes', { lead: 'The machines that you run for this marketplace: how they are, what they have done and earned.' }),
      mine.length > 0 ? figures(
        figure('Machines', count(mine.length), `${count(mine.filter((m) => m.decision === 'approved').length)} approved`),
        figure('At work', count(mine.filter((m) => m.decision === 'approved' && heard(m)).length), 'heard of within three minutes'),
        figure('Jobs done', count(total(mine.map((m) => m.work.jobsDone)))),
        figure('Earned', credits(total(mine.map((m) => m.work.earned))), h('a', { href: '/balance' }, 'Balance'))) : null,
      section('Pods', shown(pods, 'No pod yet')),
      section('Key nodes', shown(nodes, 'No key node yet')),
      pods.filter((m) => Number(m.work.earned) > 0).length > 1 ? section('Earned by pod', bars({ title: 'Earned by pod (credits)', caption: false, items: pods.map((m) => ({ label: m.name, value: Number(m.work.earned) / 100 })), what: 'Credits' })) : null,
      section('Start one', h('div', { class: 'stack' },
        dev ? note('warn', 'This marketplace’s reference string is a trial one (dev): whoever made it could forge proofs about private weights. Its machines must be told to accept it.') : null,
        tabs([
          { key: 'pod', label: 'A pod', body: startPod },
          { key: 'node', label: 'A committee’s node', body: startNode },
          { key: 'held', label: 'A custodian’s own node', body: startHeld },
        ], 'pod', undefined, 'What to start').node))),
  };
}
