// How fast the browser's core encrypts, against the command line in the same run:
// `node web-static/tests/bench.mjs [path of veilbourse]`. The roots must be equal.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engine } from './host.mjs';

const path = fileURLToPath(new URL('../../tests/data/randhie.csv', import.meta.url));
const { schema, seed, root, values } = JSON.parse(readFileSync(new URL('./determinism.json', import.meta.url), 'utf8'));
const { engine: core } = await engine();
await core.run('vaultCreate', { passphrase: 'a passphrase for a benchmark' });
const made = (await core.run('encrypt', { schema, seed }, { blob: new Uint8Array(readFileSync(path)) })).value;
const rate = (seconds) => `${Math.round(values / seconds).toLocaleString('en')} values a second`;
const line = (who, s) =>
  console.log(
    `${who.padEnd(8)} encrypt ${s.encrypt.toFixed(2)} s (${rate(s.encrypt)}), commit and prove ${s.commit.toFixed(2)} s, ` +
      `together ${rate(s.encrypt + s.commit)}`,
  );
const browser = { encrypt: made.seconds.encrypt, commit: made.seconds.commit + made.seconds.prove };
console.log(`${values.toLocaleString('en')} values of 20,190 rows`);
line('browser', browser);
let failed = made.root !== root;
if (failed) console.error(`the root is ${made.root}, expected was ${root}`);
const LEAST = 200_000;
if (values / browser.encrypt < LEAST) {
  console.error(`fewer than ${LEAST} values encrypted a second`);
  failed = true;
}
const binary = process.argv[2];
if (binary) {
  const folder = mkdtempSync(join(tmpdir(), 'veilbourse-bench-'));
  try {
    const args = ['--json', 'custodian', 'encrypt', path, '--name', schema.name, '--segment', 'idp', '--square', 'mdvis',
      '--seed', seed, '--out', join(folder, 'dataset')];
    const said = JSON.parse(execFileSync(binary, args, { encoding: 'utf8' }).trim().split('\n').at(-1) ?? '');
    const native = { encrypt: said.seconds.keygen + said.seconds.encrypt, commit: said.seconds.commit };
    line('native', native);
    console.log(`browser/native: encrypt ${(browser.encrypt / native.encrypt).toFixed(2)}, all ` +
      `${((browser.encrypt + browser.commit) / (native.encrypt + native.commit)).toFixed(2)}`);
    if (said.dataset !== made.root) {
      console.error(`the command line's root is ${said.dataset}`);
      failed = true;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
process.exitCode = failed ? 1 : 0;
