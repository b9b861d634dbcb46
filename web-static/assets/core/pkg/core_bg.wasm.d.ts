/* tslint:disable */
/* eslint-disable */
export const memory: WebAssembly.Memory;
export const __wbg_given_free: (a: number, b: number) => void;
export const call: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number) => any;
export const given_bytes: (a: number, b: number) => [number, number];
export const given_files: (a: number) => number;
export const given_json: (a: number) => [number, number];
export const given_name: (a: number, b: number) => [number, number];
export const given_vault: (a: number) => [number, number];
export const start: (a: any, b: number, c: number) => [number, number];
export const version: () => [number, number];
export const wasm_bindgen__convert__closures_____invoke__h07aa5e095a197146: (a: number, b: number, c: any) => [number, number];
export const wasm_bindgen__convert__closures_____invoke__h3110da1c4a01498d: (a: number, b: number, c: any, d: any) => void;
export const __wbindgen_malloc: (a: number, b: number) => number;
export const __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
export const __wbindgen_free: (a: number, b: number, c: number) => void;
export const __wbindgen_exn_store: (a: number) => void;
export const __externref_table_alloc: () => number;
export const __wbindgen_externrefs: WebAssembly.Table;
export const __externref_drop_slice: (a: number, b: number) => void;
export const __wbindgen_destroy_closure: (a: number, b: number) => void;
export const __externref_table_dealloc: (a: number) => void;
export const __wbindgen_start: () => void;
