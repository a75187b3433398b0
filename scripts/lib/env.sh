# Sourced by every script: where things are built and cached, and nothing else.
# shellcheck shell=bash

BLYAN_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export BLYAN_ROOT
export BLYAN_CACHE=${BLYAN_CACHE:-$HOME/.cache/blyan}
# One target directory outside the clone: the dependencies cost most of a build, and every clone shares them.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$BLYAN_CACHE/target}
# substrate-wasm-builder cannot find the workspace from a target directory outside it.
export WASM_BUILD_WORKSPACE_HINT=$BLYAN_ROOT
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

BLYAN_WASM_TOOLCHAIN=$BLYAN_CACHE/wasm-toolchain
# Only when setup had to build one; otherwise the machine's own toolchain has the target.
if [ -x "$BLYAN_WASM_TOOLCHAIN/bin/rustc" ]; then
	export WASM_BUILD_TOOLCHAIN=$BLYAN_WASM_TOOLCHAIN
fi

say() { printf '%s\n' "$*" >&2; }
die() {
	say "error: $*"
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
