//! The runtime that a rehearsed upgrade puts in place of the present one: `blyan-runtime` with its feature `next-release`,
//! which `runtime/src/migrations/next.rs` describes, compiled to WebAssembly.

#![cfg_attr(not(feature = "std"), no_std)]

// What the compiled runtime exports is what `blyan-runtime` does.
#[cfg(not(feature = "std"))]
pub use blyan_runtime::*;

/// The compiled runtime.
#[cfg(feature = "std")]
#[allow(missing_docs, reason = "generated")]
mod wasm {
    include!(concat!(env!("OUT_DIR"), "/wasm_binary.rs"));
}

#[cfg(feature = "std")]
pub use wasm::*;
