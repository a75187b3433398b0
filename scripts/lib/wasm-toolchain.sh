# Makes the runtime's wasm target available: by rustup where it can fetch it, or from Debian's `rustc-web`.
# shellcheck shell=bash

WASM_TARGET=wasm32v1-none

rust_has_wasm_target() {
	[ -d "$(rustc --print sysroot)/lib/rustlib/$WASM_TARGET/lib" ]
}

# A folder shaped like a toolchain: the distribution's cargo and rustc, and a sysroot in which `core` and `alloc` were
# compiled once for the wasm target, because Debian ships their sources but no build of them for it.
build_wasm_toolchain() (
	local dir=$1 tmp tree host=x86_64-unknown-linux-gnu
	local rustc=/usr/bin/rustc cargo=/usr/bin/cargo
	[ -x "$rustc" ] && [ -x "$cargo" ] || return 1
	case $(uname -m) in aarch64) host=aarch64-unknown-linux-gnu ;; esac
	tmp=$(mktemp -d "$BLYAN_CACHE/wasm-toolchain.XXXXXX")
	# A subshell: however it ends, what is not finished is removed.
	trap 'rm -rf "$tmp"' EXIT
	mkdir -p "$tmp/bin" "$tmp/lib/rustlib/$WASM_TARGET/lib"
	ln -s "$cargo" "$tmp/bin/cargo"
	for tree in src "$host" etc; do ln -s "/usr/lib/rustlib/$tree" "$tmp/lib/rustlib/$tree"; done
	wasm_rustc_wrapper "$tmp" "$rustc" >"$tmp/bin/rustc"
	chmod +x "$tmp/bin/rustc"
	if [ -x /usr/bin/rust-lld ]; then
		ln -s /usr/bin/rust-lld "$tmp/bin/rust-lld"
	else
		ln -s "$(command -v lld-22 || command -v lld)" "$tmp/bin/rust-lld"
	fi

	mkdir -p "$tmp/seed/src"
	printf '[package]\nname = "seed"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' >"$tmp/seed/Cargo.toml"
	printf '#![no_std]\nextern crate alloc;\n' >"$tmp/seed/src/lib.rs"
	(
		cd "$tmp/seed" || exit 1
		unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTUP_TOOLCHAIN
		PATH="$tmp/bin:$PATH" RUSTC="$tmp/bin/rustc" CARGO_TARGET_DIR="$tmp/seed/target" RUSTC_BOOTSTRAP=1 \
			"$cargo" build --quiet --release --target "$WASM_TARGET" -Z build-std=core,alloc
	) || return 1
	cp "$tmp"/seed/target/"$WASM_TARGET"/release/deps/lib{core,alloc,compiler_builtins}-*.rlib \
		"$tmp/lib/rustlib/$WASM_TARGET/lib/" || return 1
	rm -rf "$tmp/seed" "$dir"
	# The wrapper names its own folder, so it is written again for the final place.
	wasm_rustc_wrapper "$dir" "$rustc" >"$tmp/bin/rustc"
	mv "$tmp" "$dir"
)

wasm_rustc_wrapper() {
	printf '#!/bin/sh\nPATH="%s/bin:$PATH" exec %s --sysroot "%s" "$@"\n' "$1" "$2" "$1"
}
