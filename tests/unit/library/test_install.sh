#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is installed is enough to build an example with nothing but pkg-config, and to run it:
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
# shellcheck disable=SC2086
"$@" -Wall -Wextra -Werror "$source/examples/page_tables.c" $flags -o "$scratch/page_tables"
library=$(dirname "$(find "$scratch/root" -name 'libhindsight.so.*' -type l)")
LD_LIBRARY_PATH=$library "$source/tests/golden/examples/check" \
	"$source/tests/golden/examples/page_tables.txt" "$scratch/page_tables"
