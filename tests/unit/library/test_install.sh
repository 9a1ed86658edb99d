#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is installed is enough to build examples with nothing but pkg-config, and to run them, on each CPU that is here:
# test_install.sh BUILD SOURCE COMPILER...
set -eu
build=$1
source=$2
shift 2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

DESTDIR=$scratch/root meson install -C "$build" --no-rebuild --quiet --tags devel,runtime
PKG_CONFIG_PATH=$(dirname "$(find "$scratch/root" -name hindsight.pc)")
export PKG_CONFIG_PATH
prefix=$scratch/root$(pkg-config --variable=prefix hindsight)
flags=$(pkg-config --define-variable=prefix="$prefix" --cflags --libs hindsight)
LD_LIBRARY_PATH=$(dirname "$(find "$scratch/root" -name 'libhindsight.so.*' -type l)")
export LD_LIBRARY_PATH

compile() {
	name=$1
	shift
	# shellcheck disable=SC2086
	"$@" -Wall -Wextra -Werror "$source/examples/$name.c" $flags -pthread -o "$scratch/$name"
}

run() {
	name=$1
	shift
	"$source/tests/golden/examples/check" "$source/tests/golden/examples/$name.txt" "$scratch/$name" "$@"
}

compile page_tables "$@"
run page_tables
compile embed "$@"

# The stub is installed with all the rest as it is alone (tests/gdb/test_gdbstub_library.py).
hindsight_flags=$flags
flags=$(pkg-config --define-variable=prefix="$prefix" --cflags --libs hindsight-gdbstub)
compile toy_target "$@"
flags=$hindsight_flags
if "$scratch/toy_target" nowhere 2>"$scratch/error" || ! grep -q '^toy_target: .*nowhere' "$scratch/error"; then
	echo "toy_target listens on an address that is none" >&2
	exit 1
fi
for arch in amd64 i686; do
	guests=$build/guest/$arch
	[ -f "$guests/functions.elf" ] || continue
	run embed "$guests/functions.elf" soft
	if "$prefix/bin/hindsight" run --backend kvm "$guests/hello.elf" >"$scratch/hello" 2>&1; then
		run embed "$guests/functions.elf" kvm
	fi
done
