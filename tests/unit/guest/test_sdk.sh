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
# On i686 this needs libgcc, which must come behind it.
cat >divide.c <<'END'
#include <hindsight/guest.h>

int main(int argc, char **argv)
{
	hs_printf("%s %llu\n", argv[0], 10000000000000ull / (unsigned int)argc);
	return 0;
}
END
for arch in amd64 i686; do
	mkdir $arch
	flags=$(pkg-config --define-variable=prefix="$prefix" --cflags --libs hindsight-guest-$arch)
	# Before the source and behind it: both orders are in use.
	# shellcheck disable=SC2086
	"$@" -g -o $arch/hello.elf "$source/guest/programs/hello.c" $flags
	# shellcheck disable=SC2086
	"$@" -g $flags -o $arch/args.elf "$source/guest/programs/args.c"
	# shellcheck disable=SC2086
	"$@" -g $flags -o $arch/divide.elf divide.c
done
"$folder/test_images.py" */*.elf
