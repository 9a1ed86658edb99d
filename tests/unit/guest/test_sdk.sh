#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The installed SDK builds guests with nothing but pkg-config, which run, end and serve calls on the software CPU:
# test_sdk.sh BUILD SOURCE COMPILER...
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
	(void)argv;
	hs_printf("%llu\n", 10000000000000ull / (unsigned int)argc);
	return 5;
}
END
cat >serve.c <<'END'
#include <hindsight/guest.h>

static int sum;

HS_GUEST_FUNCTION(add, "i(ii)")
{
	ret->i = sum += args[0].i + args[1].i;
}

int main(int argc, char **argv)
{
	(void)argc, (void)argv;
	sum = 1000;
	hs_guest_serve();
}
END

# The end that is expected of a run with these options.
check() {
	expected=$1
	shift
	status=0
	output=$("$build/hindsight" run --backend soft --core none "$@" 2>errors) || status=$?
	if [ "$status: $output" != "$expected" ]; then
		echo "$status: $output, and not $expected"
		cat errors
		exit 1
	fi
}

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
	"$folder/test_images.py" $arch/*.elf
	# Without -g, optimized: as it comes.
	# shellcheck disable=SC2086
	"$@" -O2 serve.c $flags -o $arch/serve.elf

	# The registers of AVX are there for who is compiled for them (docs/guest-abi.md).
	# shellcheck disable=SC2086
	"$@" -O2 $flags -march=x86-64-v3 -mavx2 -mfpmath=sse -o $arch/avx2.elf "$source/guest/programs/avx2.c"
	if grep -qw avx2 /proc/cpuinfo; then
		check "0: sum_of_squares(1u) = 30UL" --call 'sum_of_squares(1u)' $arch/avx2.elf
	fi

	check "0: hello from a guest" $arch/hello.elf
	check "5: 10000000000000" $arch/divide.elf
	# The second cycle begins where the first one did.
	check "0: add(1, 2) = 1003
add(3, 4) = 1010" --call 'add(1,2)' --call 'add(3,4)' --cycles 2 $arch/serve.elf
done
