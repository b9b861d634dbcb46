/* tslint:disable */
/* eslint-disable */

/**
 * What a call gives.
 */
export class Given {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Its bytes.
     */
    bytes(file: number): Uint8Array;
    /**
     * How many files.
     */
    files(): number;
    /**
     * The answer as JSON.
     */
    json(): string;
    /**
     * A file's name and media type.
     */
    name(file: number): string[];
    /**
     * The vault's new bytes.
     */
    vault(): Uint8Array | undefined;
}

/**
 * One call at a time. `input` is the length of the table that the page reads for it;
 * an error is the JSON of a `CoreError`.
 */
export function call(method: string, _arguments: string, input?: number | null, file?: Uint8Array | number[] | null): Promise<Given>;

/**
 * Starts the core for the server at `base`; drafts are below `datasets`.
 */
export function start(page: any, base: string): void;

/**
 * The version of the program.
 */
export function version(): string;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_given_free: (a: number, b: number) => void;
    readonly call: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => any;
    readonly given_bytes: (a: number, b: number) => [number, number];
    readonly given_files: (a: number) => number;
    readonly given_json: (a: number) => [number, number];
    readonly given_name: (a: number, b: number) => [number, number];
    readonly given_vault: (a: number) => [number, number];
    readonly start: (a: any, b: number, c: number) => [number, number];
    readonly version: () => [number, number];
    readonly wasm_bindgen__convert__closures_____invoke__h07aa5e095a197146: (a: number, b: number, c: any) => [number, number];
    readonly wasm_bindgen__convert__closures_____invoke__h3110da1c4a01498d: (a: number, b: number, c: any, d: any) => void;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __wbindgen_exn_store: (a: number) => void;
    readonly __externref_table_alloc: () => number;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __externref_drop_slice: (a: number, b: number) => void;
    readonly __wbindgen_destroy_closure: (a: number, b: number) => void;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
