/**
 * The custodian's and the buyer's core in the browser.
 *
 * One module worker runs the same Rust code as the command line, compiled to
 * WebAssembly. Plaintext tables, data keys, signing keys, models and opened
 * results never leave it: what goes to the server is ciphertext, signatures and
 * public schema. Nothing is loaded until `openCore` is called.
 *
 * Every call returns a promise and rejects with a `CoreError`. Long calls report
 * `Progress` to the callback given with the call, else to that of `openCore`.
 * Money, 64-bit integers and counts that may pass 2^53 are decimal strings.
 */

/** A step of long work. `total` is 0 where it is not known. */
export interface Progress {
  /**
   * read, encrypt, commit, prove, upload (bytes), deal, seal, tickets (pieces), twin, open
   */
  stage: string;
  done: number;
  total: number;
}
export type OnProgress = (p: Progress) => void;

/**
 * Codes of the core itself; those of the server come through as they are
 * (`UNAUTHENTICATED`, `NOT_FOUND`, ...).
 */
export type CoreCode =
  | 'VAULT_MISSING' // there is none yet: vaultCreate
  | 'VAULT_EXISTS'
  | 'VAULT_LOCKED' // vaultUnlock first
  | 'VAULT_REFUSED' // wrong passphrase or a damaged file: told apart by nobody
  | 'VAULT_FORMAT' // no vault, another version, or outside its limits
  | 'PASSPHRASE_WEAK' // limit: fewest characters
  | 'IN_USE' // another tab of this browser has the vault open
  | 'STORAGE' // the browser's file system refused; see message
  | 'TABLE' // the table or its schema is refused; field is the column where there is one
  | 'BUDGET' // does not fit the noise budget
  | 'DRAFT_UNKNOWN'
  | 'DRAFT_STATE' // asked for out of order: field names what is missing
  | 'MODEL' // the model does not parse or does not fit the listing
  | 'QUERY'
  | 'FIT_UNKNOWN' // a handle of another session of the core
  | 'MARKETPLACE_KEY' // not the pinned one: nothing was signed
  | 'QUOTE' // the quote does not hold; nothing was signed
  | 'PRICE' // above maxPrice; limit and value in minor units
  | 'ORDER_UNKNOWN' // its ticket is not in this vault
  | 'DEALING' // the tickets or the plan are refused
  | 'DOCUMENT'
  | 'ANSWER' // the server's answer is not what it must be
  | 'ORDER_STATE' // not released yet, or refunded; value is the state
  | 'RESULT' // what was opened is not what was signed for
  | 'TRAINING'
  | 'RECEIPT' // field is the rule
  | 'COMMITTEE'
  | 'NETWORK' // no answer: try again, everything resumes
  | 'CANCELLED'
  | 'UNSUPPORTED' // the browser lacks something; field names it
  | 'INPUT' // an argument is not of its form; field names it
  | 'INTERNAL';

export interface CoreError extends Error {
  name: 'CoreError';
  code: CoreCode | string;
  message: string;
  field?: string;
  limit?: string;
  value?: string;
}

export interface OpenOptions {
  onProgress?: OnProgress;
  /** Where the server is; the page's own origin when absent. */
  base?: string;
}
export interface CallOptions {
  onProgress?: OnProgress;
}

/** Starts the worker (once a page; later calls give the same core). */
export function openCore(options?: OpenOptions): Promise<Core>;
/** Whether this browser can run everything; `missing` names what it lacks. */
export function coreSupport(): { wasm: boolean; files: boolean; locks: boolean; missing: string[] };

// --- tables ------------------------------------------------------------------

/** A table: CSV or Parquet, told apart by its first bytes. */
export type TableFile = Blob;

/** What an empty cell means. */
export type Missing = 'refuse' | 'mean' | { constant: number } | { category: string };

export interface ColumnSchema {
  kind?: 'numeric' | 'categorical' | 'drop' | null;
  unit?: string;
  /** Published range, in real units. */
  min?: number | null;
  max?: number | null;
  outside?: 'refuse' | 'clip';
  bits?: number | null;
  missing?: Missing | null;
}

/** The command line's schema file as JSON; unknown fields are refused. */
export interface Schema {
  name: string;
  segment_by?: string[];
  /** 1 to 32, 10 when absent. */
  bits?: number;
  second_moments?: 'none' | { squares: string[] } | { products: [string, string][] } | 'all';
  missing?: Missing;
  missing_values?: string[];
  suppression?: { k_min?: number; max_share_percent?: number; keep?: string[] };
  limits?: { file_bytes?: number; field_bytes?: number; categories?: number; cells?: number };
  delimiter?: string;
  columns?: Record<string, ColumnSchema>;
}

export type DropReason =
  | 'asked'
  | 'constant'
  | { few_rows: { segment: string; rows: number; k_min: number } }
  | { few_rows_without: { segment: string; rows: number; k_min: number } }
  | { few_rows_differ: { segment: string; rows: number; k_min: number } }
  | { dominated: { segment: string; share_percent: number; limit_percent: number } }
  | { factor_dropped: { factor: string } };

/** A column as it would be encrypted. */
export interface ColumnReport {
  name: string;
  /** numeric, category, square or product. */
  kind: 'numeric' | 'category' | 'square' | 'product';
  /** Its source column(s) in the file. */
  source: string[];
  unit: string;
  scale_log2: number;
  /** Bits that its integers need. */
  bits: number;
  min: number;
  max: number;
  max_error: number;
  rms_error: number;
  clipped: number;
  imputed: number;
  imputed_with: string | null;
  kept_despite: DropReason | null;
  /** kept_despite in words. */
  kept_reason: string | null;
}

export interface Inspection {
  format: 'csv' | 'parquet';
  bytes: number;
  /** Names of the file's columns, in order. */
  headers: string[];
  /** First rows as texts, at most 20. */
  sample: string[][];
  /** Complete and editable: what `encrypt` takes. */
  schema: Schema;
  /** Why this table cannot be encrypted under this schema; then `report` is null. */
  refusal: { code: string; message: string; column: string | null; line: number | null } | null;
  report: {
    name: string;
    rows: number;
    segments: { label: string; rows: number }[];
    columns: ColumnReport[];
    public_columns: { name: string; values: number[]; max_error: number }[];
    dropped: { name: string; reason: DropReason; text: string; suppressed: boolean }[];
    notes: string[];
  } | null;
  /** k: log2 of the step between messages; null where the budget refuses. */
  messageLog2: number | null;
  /** Rows times encrypted columns. */
  values: number;
  /** Bytes that will be uploaded, about. */
  uploadBytes: number;
}

// --- drafts: datasets encrypted here ------------------------------------------

export interface ObjectEntry {
  name: string;
  length: number;
}

/** What is stored of a dataset in this browser, sealed under the vault. */
export interface Draft {
  /** Names it in all calls below: the first 16 hex digits of the root. */
  id: string;
  /** D. */
  root: string;
  name: string;
  rows: number;
  columns: number;
  segments: number;
  /** Milliseconds since the epoch. */
  created: number;
  bytes: number;
  objects: ObjectEntry[];
  /** Next in line: list, upload, deal, tickets, policy, submit, done. */
  stage: 'list' | 'upload' | 'deal' | 'tickets' | 'policy' | 'submit' | 'done';
  /** Its listing, once there is a draft of one. */
  listing: string | null;
  uploaded: boolean;
  dealings: { planned: number; dealt: number; tickets: string; uploaded: boolean };
  /** Version of the newest policy signed here. */
  policyVersion: number | null;
  submitted: boolean;
}

export interface Encrypted {
  id: string;
  root: string;
  manifest: object;
  objects: ObjectEntry[];
  /** Rows times encrypted columns. */
  values: number;
  seconds: { read: number; encrypt: number; commit: number; prove: number; total: number };
  valuesPerSecond: number;
}

/** A committee file, as `veilbourse committee make` writes it: object or text. */
export type CommitteeFile = object | string;

/** A class of opening tickets. Without a law there is no noise and no sensitivity. */
export interface TicketClassAsk {
  name: string;
  /** A quorum. 2048 when absent. */
  tickets?: number;
  /** One of these four; decimals or fractions as text ("0.001", "1/3"). */
  rho?: string;
  epsilon?: string;
  variance?: string;
  scale?: string;
  /** One of these three; without any, the largest range of all columns. */
  sensitivity?: number;
  bound?: number;
  column?: string[];
  /** Rows that one person may have; 1 when absent. */
  rows?: number;
}

export interface ClassPreview {
  name: string;
  tickets: number;
  noisy: boolean;
  /** By how much a row moves an opened integer. */
  sensitivity: string;
  /** In opened integers. */
  deviation: number;
  within95: string;
  rhoPerTicket: number;
  /** Of all quorums' tickets. */
  rho: number;
  epsilon: number | null;
  delta: number;
  /** In words, for people. */
  text: string;
}

export interface DealAsk {
  id: string;
  committee: CommitteeFile;
  /** `[{name: 'exact'}]` when absent. Ignored where an earlier dealing is unfinished. */
  classes?: TicketClassAsk[];
  /** Deals further tickets where some were dealt before. */
  more?: boolean;
  /** Quorums (node numbers) dealt anew under fresh keys. */
  anew?: number[][];
  /** Only these quorums. */
  quorums?: number[][];
}

export interface Dealings {
  dealings: { quorum: number[]; epoch: number; class: string; count: string; digest: string }[];
  rho: number;
  epsilon: number | null;
  delta: number;
  /** Whether the server holds all of it. */
  uploaded: boolean;
}

export interface PolicyAsk {
  kinds: ('aggregate_public' | 'aggregate_private' | 'rows_public' | 'rows_private')[];
  minCohort: number;
  quotaValues: number | string;
  quotaBits: number | string;
  /** Minor units. */
  priceOrder: string;
  priceOutput: string;
  /** Least part of the price that is the custodian's; 7500 when absent. */
  custodianBasisPoints?: number;
  /** One more than the newest known when absent. */
  version?: number;
}

export type OpenersAsk =
  | { committee: CommitteeFile; rhoLimit?: string }
  | { custodianHeld: string };

// --- the vault ----------------------------------------------------------------

export interface VaultState {
  exists: boolean;
  unlocked: boolean;
  /** Another tab has it open. */
  inUse: boolean;
  /** Null while locked. */
  keys: { key: string; name: string; created: number; accounts: string[] }[] | null;
  /** The marketplace key pinned for this origin. */
  marketplace: string | null;
  datasets: { root: string; name: string }[] | null;
  orders: number | null;
  /** Changes since the last export: a reminder to back up. */
  unsaved: number | null;
  /** Argon2id's parameters. */
  kdf: { memoryKib: number; passes: number; lanes: number } | null;
}

export interface Registered {
  key: string;
  /** A `KeyRegistration`, signed: the argument of registerSigningKey. */
  registration: object;
}

// --- queries ------------------------------------------------------------------

/** score = intercept + sum of weight times column, in real units. */
export interface LinearModel {
  kind: 'linear' | 'logistic';
  columns: string[];
  weights: number[];
  intercept: number;
}

export type QueryAsk =
  /** Mean, and variance where the square is listed, of each column in each segment. */
  | { kind: 'statistics'; columns: string[] }
  | {
      kind: 'linear' | 'logistic';
      model: LinearModel | string;
      rows?: 'mean' | 'each';
      /** Weights hidden from everybody but the pod; true when absent. */
      private?: boolean;
    }
  | {
      kind: 'train';
      target: string;
      features?: string[];
      segments?: string[];
      references?: [string, string][];
      exclusive?: string[][];
      exact?: string[];
      method?: { kind: 'ols' } | { kind: 'ridge'; lambda: number; standardise?: boolean };
    };

export interface ListingColumns {
  id: string;
  title: string;
  root: string;
  name: string;
  messageLog2: number;
  segments: { label: string; rows: string }[];
  columns: {
    name: string;
    kind: 'numeric' | 'category' | 'square' | 'product';
    source: string[];
    unit: string;
    scale_log2: number;
    min: number;
    max: number;
  }[];
  publicColumns: { name: string; values: number[] }[];
  suppressed: string[];
}

/** One output in real units. */
export interface OutputValues {
  label: string;
  segment: string;
  rows: number;
  /** The mean over the rows, or a score a row. */
  mean: boolean;
  values: number[];
  /** Worst case from rounding the weights and, added, from quantising the data. */
  roundingError: number;
  /** Standard deviation of the tickets' noise, in the same unit; 0 without. */
  noiseDeviation: number;
  /** 95 of 100 values are within; 0 without noise. */
  within95: number;
  integers: string[];
  /** Logistic models: the probability of each score. */
  probabilities?: number[];
}

export interface VarianceValue {
  column: string;
  segment: string;
  rows: number;
  value: number;
  noiseDeviation: number;
}

export interface TwinRun {
  /** Said with every figure: nothing of the data is in these values. */
  synthetic: true;
  outputs: OutputValues[];
  variances: VarianceValue[];
  /** The same query in doubles on the same synthetic rows: what fitting cost. */
  exact: number[][];
  /** Greatest difference between outputs and exact, real units. */
  accuracyLoss: number;
  training?: Training;
  /** Why the twin has no solution: its columns are independent. */
  trainingRefusal?: string;
  csv: string;
  seconds: number;
}

export interface Fitted {
  /** Names it while this core is open. */
  fit: string;
  listing: string;
  /** The public shape: what the quote is asked for. */
  program: object;
  columns: { vector: string; column: string; weight: number; integer: string | null }[];
  accuracy: {
    vector: string;
    scale_log2: number;
    /** Worst case a row from rounding the weights, real units. */
    maxError: number;
    /** Worst case a row from rounding the data, real units. */
    dataRounding: number;
    private: boolean;
  }[];
  outputs: { label: string; segment: string; rows: string; values: number }[];
  values: string;
  bits: string;
  /** Query kinds that the policy must allow. */
  kinds: string[];
  /** Columns that a training measures against, leaves out, ... */
  notes: string[];
}

export interface QuoteWish {
  /** A pod's machine id. */
  pod?: string;
  /** The pod that must be quoted, by its signing key. */
  podKey?: string;
  /** Name or digest of a class of tickets. */
  ticketClass?: string;
  /** Exactly these nodes must open. */
  nodes?: string[];
}

export interface Offer {
  /** Names it while this core is open. */
  offer: string;
  fit: string;
  listing: string;
  digest: string;
  price: { total: string; custodian: string; pod: string; fee: string };
  expectedSeconds: number;
  expiry: string;
  values: string;
  bits: string;
  pod: { id: string; signingKey: string; readsWeights: boolean };
  openers: { custody: 'committee' | 'custodian-held'; nodes: string[]; threshold: number };
  ticketClass: { name: string; noisy: boolean; deviation: number; within95: string } | null;
  policyVersion: number;
  /** The `quote` field of the answer, as it came: outputs, seats, private parts. */
  details: any;
}

export interface PlaceAsk {
  offer: string;
  /** Minor units; refused above. */
  maxPrice?: string;
  /** One hour when absent. */
  deadlineSeconds?: number;
}

export interface KeptOrder {
  /** The server's id; null where it is signed and not known to be placed. */
  id: string | null;
  /** Digest of the signed order: names it. */
  digest: string;
  listing: string;
  name: string;
  /** statistics, linear, logistic or train. */
  kind: string;
  created: number;
  price: string;
  opened: boolean;
}

export interface Placed {
  id: string;
  digest: string;
  /** The signed order as it was sent. */
  order: object;
  kept: KeptOrder;
}

export interface Training {
  /** The fitted model: takes part in a query as it is. */
  model: LinearModel;
  /** As the command line's training.json. */
  training: any;
}

export interface Opened {
  id: string;
  listing: string;
  outputs: OutputValues[];
  variances: VarianceValue[];
  noiseDeviation: number;
  training?: Training;
  trainingRefusal?: string;
  report: ReceiptReport;
  csv: string;
  /** As the command line's result.json. */
  json: string;
  receipt: Blob;
}

export interface ReceiptReport {
  valid: true;
  order: string;
  marketplace: string;
  marketplace_expected: boolean;
  custodian_key: string | null;
  buyer_key: string | null;
  node_keys: string[];
  dataset: string;
  name: string;
  outputs: number;
  values: number;
  evaluation: string;
  decryption: string;
  tickets: string | null;
  result_checked: boolean;
  srs: string;
  srs_contributors: { name: string; key: string }[];
  price: string;
  /** Arrows by how they are backed. */
  proven: string[];
  attested: string[];
  assumed: string[];
  /** The same for people. */
  text: string;
}
export interface ReceiptRefused {
  valid: false;
  /** REC-1, DOC-5, ... */
  rule: string;
  reason: string;
}

// --- everything ---------------------------------------------------------------

export interface Core {
  /** Ends the worker. */
  close(): void;
  /** Ends what is running: it rejects with CANCELLED; what is stored stays. The worker starts again, the vault locked. */
  cancel(): Promise<void>;
  version(): Promise<{ version: string }>;

  // No vault needed.
  inspect(file: TableFile, schema?: Schema | null, name?: string, o?: CallOptions): Promise<Inspection>;
  /** The schema as the command line's TOML. */
  schemaToml(schema: Schema): Promise<string>;
  schemaFromToml(toml: string): Promise<Schema>;
  verifyReceipt(
    file: Blob | string,
    trust?: { marketplace?: string },
    o?: CallOptions,
  ): Promise<ReceiptReport | ReceiptRefused>;
  listing(id: string): Promise<ListingColumns>;
  fit(listing: string, query: QueryAsk, o?: CallOptions): Promise<Fitted>;
  runOnTwin(fit: string, o?: CallOptions): Promise<TwinRun>;
  /** Asks for a quote and checks it. */
  quote(fit: string, wish?: QuoteWish): Promise<Offer>;
  /** The same for an answer that the page has: `quote` is the field `quote` of the GraphQL answer. */
  quoteCheck(fit: string, quote: object, wish?: QuoteWish): Promise<Offer>;
  checkCommittee(
    file: CommitteeFile,
  ): Promise<{ threshold: number; nodes: { name: string; key: string }[]; quorums: number[][]; marketplace: string }>;

  // The vault.
  vaultState(): Promise<VaultState>;
  vaultCreate(passphrase: string): Promise<VaultState>;
  vaultUnlock(passphrase: string): Promise<VaultState>;
  vaultLock(): Promise<void>;
  vaultPassphrase(old: string, fresh: string): Promise<VaultState>;
  /** The backup file: the sealed vault; `veilbourse vault show` reads it. */
  vaultExport(): Promise<Blob>;
  /** As the vault where there is none; else its entries are added to the unlocked one. */
  vaultImport(file: Blob, passphrase: string): Promise<VaultState>;
  /** Erases vault and drafts in this browser. */
  vaultDestroy(passphrase: string): Promise<void>;
  /** The signing key's public half; made at the first call. */
  signingKey(): Promise<string>;
  /** The key's registration for an account, to be sent by registerSigningKey; pins the marketplace key at first sight. */
  registrationFor(account: string): Promise<Registered>;
  /** The same, sent. */
  registerKey(account: string): Promise<Registered>;
  /** The server's marketplace key held to the pinned one. */
  marketplaceKey(): Promise<{ key: string; pinned: boolean }>;
  /** Pins another one, said by the operator by another way. */
  pinMarketplace(key: string): Promise<void>;

  // Custodian; the vault unlocked.
  drafts(): Promise<Draft[]>;
  encrypt(
    ask: { file: TableFile; schema: Schema; seed?: string },
    o?: CallOptions,
  ): Promise<Encrypted>;
  removeDraft(id: string): Promise<void>;
  /** Makes the listing's draft at the server; once made, the same again. */
  listingDraft(ask: { id: string; account: string; title: string; description: string }): Promise<{ listing: string }>;
  /** Uploads every object, from where the server has it (UP-1). */
  upload(ask: { id: string }, o?: CallOptions): Promise<{ listing: string }>;
  /** What classes cost when dealt to so many quorums, before anything is dealt. */
  previewClasses(ask: { id: string; classes: TicketClassAsk[]; quorums: number }): Promise<ClassPreview[]>;
  /** Deals what is planned and not dealt; goes on after any interruption; uploads what is dealt where a listing is known. */
  deal(ask: DealAsk, o?: CallOptions): Promise<Dealings>;
  uploadTickets(ask: { id: string }, o?: CallOptions): Promise<Dealings>;
  signPolicy(ask: { id: string; policy: PolicyAsk; openers: OpenersAsk }): Promise<{ policy: object; digest: string; version: number }>;
  /** Hands in what `signPolicy` signed: the server verifies everything (UP-3). */
  submit(ask: { id: string }): Promise<{ listing: string; state: string }>;
  /** Hands in a newer policy of a listing that is submitted or published. */
  updatePolicy(ask: { id: string }): Promise<{ listing: string; version: number }>;
  /** For the custodian's own key node: `secret.key`, `manifest.json`, `policy.json`. */
  exportDataset(id: string): Promise<{ name: string; file: Blob }[]>;

  // Buyer; the vault unlocked.
  /** Signs, keeps the ticket in the vault, then places. */
  place(ask: PlaceAsk, o?: CallOptions): Promise<Placed>;
  /** Places again what is signed and not known to be placed: the same order, nothing is paid twice (ORD-2). */
  placeAgain(digest: string): Promise<Placed>;
  orders(): Promise<KeptOrder[]>;
  /** Fetches, checks and opens; verifies the receipt. */
  open(order: string, o?: CallOptions): Promise<Opened>;
  /** Solves a training order again with another method or fewer features: buys nothing. */
  train(
    order: string,
    ask?: { features?: string[]; method?: { kind: 'ols' } | { kind: 'ridge'; lambda: number; standardise?: boolean } },
  ): Promise<Training>;
}
