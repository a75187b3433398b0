# The official clients that end-to-end tests speak with: @polkadot/api (npm) and openai (PyPI), in a cache folder.
# shellcheck shell=bash

export BLYAN_CLIENTS=$BLYAN_CACHE/clients

install_clients() {
	local from=$BLYAN_ROOT/tests/clients stamp
	stamp=$(cat "$from/package-lock.json" "$from/requirements.txt" | sha256sum | cut -d' ' -f1)
	if [ "$(cat "$BLYAN_CLIENTS/.stamp" 2>/dev/null)" != "$stamp" ]; then
		have node && have npm || die "node and npm are missing: install Node.js 20 or newer, the wallet tests need it"
		say "installing the test clients (npm, PyPI)"
		rm -rf "$BLYAN_CLIENTS"
		mkdir -p "$BLYAN_CLIENTS"
		cp "$from/package.json" "$from/package-lock.json" "$BLYAN_CLIENTS/"
		(cd "$BLYAN_CLIENTS" && npm ci --silent --no-audit --no-fund) || die "npm could not install the test clients"
		python3 -m pip install --quiet --target "$BLYAN_CLIENTS/python" -r "$from/requirements.txt" ||
			die "pip could not install the test clients"
		printf '%s' "$stamp" >"$BLYAN_CLIENTS/.stamp"
	fi
	# A module finds its packages beside itself, so the scripts stand where the packages are.
	cp "$from"/*.mjs "$from"/*.py "$BLYAN_CLIENTS/"
}
