#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The installed SDK builds a guest with nothing but pkg-config: test_sdk.sh BUILD SOURCE COMPILER...
set -eu
build=$1
source=$2
shift 2
folder=$(dirname "$0")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The compiler writes its paths relative to where it runs.
cd "$scratch"

DESTDIR=$scratch/root meson install -C "$build" --no-rebuild --quiet --tags guest
libraries=$(find root -name pkgconfig)
export PKG_CONFIG_LIBDIR="$libraries"
prefix=$scratch/root$(pkg-config --variable=prefix hindsight-guest-amd64)
for arch in amd64 i686; do
	mkdir $arch
	flags=$(pkg-config --define-variable=prefix="$prefix" --cflags --libs hindsight-guest-$arch)
	# Before the source and behind it: both orders are in use.
	# shellcheck disable=SC2086
	"$@" -g -o $arch/hello.elf "$source/guest/programs/hello.c" $flags
	# shellcheck disable=SC2086
	"$@" -g $flags -o $arch/args.elf "$source/guest/programs/args.c"
done
"$folder/test_images.py" */*.elf
