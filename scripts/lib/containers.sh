# Buildah and Podman for scripts/image-check, with images, volumes and networks apart from the machine's own.
# shellcheck shell=bash

CONTAINERS=$BLYAN_CACHE/containers
export CONTAINERS_STORAGE_CONF=$CONTAINERS/storage.conf CONTAINERS_CONF=$CONTAINERS/containers.conf

# Debian's podman package recommends more; this is what bridges, names and limits need.
CONTAINER_PACKAGES=(buildah podman runc netavark aardvark-dns mmdebstrap curl)

install_containers() {
	local missing=() package
	for package in "${CONTAINER_PACKAGES[@]}"; do
		dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
	done
	[ "$(id -u)" = 0 ] && have apt-get || die "scripts/image-check runs as root on Debian or Ubuntu"
	if [ ${#missing[@]} -gt 0 ]; then
		say "installing ${missing[*]}"
		apt-get update -qq >/dev/null
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$BLYAN_CACHE/apt.log" 2>&1 ||
			die "apt-get failed; see $BLYAN_CACHE/apt.log"
	fi
	mkdir -p "$CONTAINERS"
	printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/images"\nrunroot = "%s/run"\n' "$CONTAINERS" "$CONTAINERS" \
		>"$CONTAINERS_STORAGE_CONF"
	# Limits that need no right of their own, no systemd, and a runtime that knows both versions of control groups.
	cat >"$CONTAINERS_CONF" <<-END
		[containers]
		default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
		[engine]
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		runtime = "runc"
		[network]
		network_backend = "netavark"
		network_config_dir = "$CONTAINERS/networks"
	END
	# The same as a compose file, for services that set one of the two themselves.
	{
		echo "services:"
		for package in "${ALL[@]}" model; do echo "  $package: { ulimits: { nproc: 16384 } }"; done
	} >"$CONTAINERS/limits.yml"
	: >"$CONTAINERS/log"
	local name
	for name in RPC_LISTEN P2P_LISTEN_1 P2P_LISTEN_2 P2P_LISTEN_3 P2P_LISTEN_4 API_LISTEN_1 API_LISTEN_2 PROMETHEUS_LISTEN; do
		export "$name=127.0.0.1:$(free_port)"
	done
	export MODEL=$BLYAN_GENESIS_MODEL
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The value of an ARG of the Dockerfile, without its digest: a stand-in cannot have that one.
dockerfile_arg() {
	sed -n "s/^ARG $1=\([^@]*\).*/\1/p" "$BLYAN_ROOT/docker/Dockerfile"
}

# The name and version with which compose.yml pins an image.
compose_image() {
	sed -n "s#^ *image: \(docker.io/prom/$1:[^@]*\).*#\1#p" "$BLYAN_ROOT/docker/compose.yml"
}

# Makes an image of nothing but a folder or an archive: NAME SOURCE TARGET.
image_of() {
	local root
	root=$(buildah from scratch)
	buildah add --quiet "$root" "$2" "$3" >/dev/null
	buildah commit --quiet "$root" "$1" >/dev/null
	buildah rm "$root" >/dev/null
}

# What stands for Debian's own image: the same suite's essential packages, unpacked into an empty root; kept for a week.
base_image() {
	local suite tar=$CONTAINERS/base.tar
	suite=$(dockerfile_arg RUST_IMAGE)
	suite=${suite##*-}
	if [ -z "$(find "$tar" -mtime -7 2>/dev/null)" ]; then
		say "making an empty root of Debian $suite (a minute, once a week)"
		mmdebstrap --quiet --variant=minbase "$suite" "$tar.part" >>"$CONTAINERS/log" 2>&1 || fail
		mv "$tar.part" "$tar"
	fi
	image_of "$(dockerfile_arg DEBIAN_IMAGE)" "$tar" /
}

program_image() {
	rm -rf "$CONTAINERS/programs"
	"$BLYAN_ROOT/docker/build-steps.sh" build "$CONTAINERS/programs" >>"$CONTAINERS/log" 2>&1 || fail
	image_of localhost/blyan-programs "$CONTAINERS/programs" /programs
}

# Builds the builder stage. What stands for the Rust image is Debian's root with the machine's toolchain; downloaded crates and
# what was compiled stay outside, so that a second time is short.
builder_image() {
	local root
	root=$(buildah from --pull-never "$(dockerfile_arg DEBIAN_IMAGE)")
	buildah config --env PATH=/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$root"
	buildah commit --quiet "$root" "$(dockerfile_arg RUST_IMAGE)" >/dev/null
	buildah rm "$root" >/dev/null
	mkdir -p "$CONTAINERS/target" "$HOME/.cargo/registry"
	build_stage builder localhost/blyan-builder --volume "$(rustc --print sysroot):/toolchain:ro" \
		--volume "$HOME/.cargo/registry:/root/.cargo/registry" --volume "$CONTAINERS/target:/target"
	buildah tag localhost/blyan-builder localhost/blyan-programs
}

build_image() {
	build_stage "$1" "blyan-$1:0.1.0" --build-arg PROGRAMS=localhost/blyan-programs
}

# A stage of the Dockerfile: STAGE IMAGE, and further options.
build_stage() {
	buildah build --isolation chroot --format docker --pull-never --file "$BLYAN_ROOT/docker/Dockerfile" \
		--ignorefile "$BLYAN_ROOT/docker/Dockerfile.dockerignore" --target "$1" --tag "$2" "${@:3}" "$BLYAN_ROOT" \
		>>"$CONTAINERS/log" 2>&1 || fail
}

# An image under the name that compose.yml pins, with Debian's program in it: IMAGE PROGRAM.
stand_in() {
	local root name=${1//-/_}
	root=$(buildah from --pull-never "$(dockerfile_arg DEBIAN_IMAGE)")
	buildah add --quiet "$root" "$BLYAN_OPERATION/debian/usr/bin/$2" "/bin/$name" >/dev/null
	buildah add --quiet "$root" "$BLYAN_OPERATION/debian/bin/busybox" /bin/wget >/dev/null
	buildah config --entrypoint "[\"/bin/$name\"]" "$root"
	buildah commit --quiet "$root" "$(compose_image "$1")" >/dev/null
	buildah rm "$root" >/dev/null
}

# A program of an image, as compose.yml would run it, with arguments.
contained() {
	podman run --rm --read-only --cap-drop=all --security-opt=no-new-privileges --network=none "$@" 2>>"$CONTAINERS/log"
}

compose_raw() {
	(cd "$BLYAN_ROOT/docker" && PYTHONPATH=$BLYAN_OPERATION/python python3 -m podman_compose --project-name blyan-check \
		--env-file local.env --file compose.yml --file "$CONTAINERS/limits.yml" "$@")
}

compose() {
	compose_raw "$@" >>"$CONTAINERS/log" 2>&1 || fail
}

container() { echo "blyan-check_${1}_1"; }

inside() { podman exec "$(container "$1")" "${@:2}"; }

# Asks a service's own health check until it is content. Podman leaves the asking to systemd, which need not be here.
wait_healthy() {
	local until=$((SECONDS + 240))
	until podman healthcheck run "$(container "$1")" >/dev/null 2>&1; do
		if [ $SECONDS -gt $until ]; then
			podman logs --tail 20 "$(container "$1")" >>"$CONTAINERS/log" 2>&1
			say "$1 is not healthy"
			fail
		fi
		sleep 1
	done
}

rpc() {
	curl --silent --max-time 10 "http://$1" --header 'content-type: application/json' \
		--data "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$2\",\"params\":[${3:-}]}"
}

finalized() {
	local hash number
	hash=$(rpc "$1" chain_getFinalizedHead | sed -n 's/.*"result":\("0x[0-9a-f]*"\).*/\1/p')
	number=$(rpc "$1" chain_getHeader "$hash" | sed -n 's/.*"number":"\(0x[0-9a-f]*\)".*/\1/p')
	echo $((number))
}

wait_finalized() {
	local until=$((SECONDS + 120))
	while [ "$(finalized "$1")" -lt "$2" ]; do
		[ $SECONDS -lt $until ] || die "block $2 was not finalized after two minutes"
		sleep 1
	done
}

operation_check() {
	PYTHONPATH=$BLYAN_OPERATION/python python3 "$BLYAN_OPERATION/$1" "${@:2}"
}

fail() {
	tail -40 "$CONTAINERS/log" >&2
	die "see $CONTAINERS/log"
}

clean_up() {
	compose_raw down --volumes >>"$CONTAINERS/log" 2>&1 || true
	podman image prune --force >>"$CONTAINERS/log" 2>&1 || true
}
