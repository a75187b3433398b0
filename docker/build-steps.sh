#!/bin/sh
# The steps of docker/Dockerfile, one a stage. Each works in any Debian root directory, with an engine or without.
#
#   build-steps.sh install-builder   what building needs
#   build-steps.sh build DIR         the programs, into DIR
#   build-steps.sh install-runtime   what running needs: certificates, a user, an empty /data
set -eu

BLYAN_USER=10001

install() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "$@"
	# Neither lists nor logs belong into a layer: they differ at every build.
	rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache
}

case ${1:-} in
install-builder)
	install bash ca-certificates
	cd "$(dirname "$0")/.." && scripts/setup --build
	rm -rf /var/lib/apt/lists/*
	;;
build)
	into=${2:?build needs a folder}
	cd "$(dirname "$0")/.."
	CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-/target}
	export CARGO_TARGET_DIR
	scripts/lib/build
	mkdir -p "$into"
	for program in blyan blyan-node blyan-worker; do
		strip -o "$into/$program" "$CARGO_TARGET_DIR/release/$program"
	done
	;;
install-runtime)
	install ca-certificates
	groupadd --gid "$BLYAN_USER" blyan
	useradd --uid "$BLYAN_USER" --gid "$BLYAN_USER" --home-dir /data --no-create-home --shell /usr/sbin/nologin blyan
	mkdir -p /data
	chown "$BLYAN_USER:$BLYAN_USER" /data
	chmod 0700 /data
	;;
*)
	sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
