# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cannot be run is refused in one line that names it, with status 125 or 2, and leaves nothing behind.

The images are a good guest with bytes changed by hand.
"""

import re
import socket

import pytest

from lib import elf, facts, report

MIB = 1 << 20
IN_RIG = pytest.mark.parametrize("runner", ["amd64-rig"], indirect=True)


def assert_refused(result, pattern, status=125):
    assert result.rc == status, str(result)
    assert result.stdout == ""
    assert re.search(pattern, report.one_line_error(result.stderr)), result.stderr
    assert result.files == {}


def loads(image):
    return image.segments(elf.PT_LOAD)


def header(**fields):
    def change(image):
        for name, value in fields.items():
            image.set(name, value)
        return image
    return change


def segment(number, **fields):
    """Change the loaded segment of a number, as list indices count."""
    def change(image):
        for name, value in fields.items():
            image.set_segment(loads(image)[number], name, value)
        return image
    return change


def all_segments(**fields):
    def change(image):
        for index in loads(image):
            for name, value in fields.items():
                image.set_segment(index, name, value)
        return image
    return change


def patch(offset, data):
    def change(image):
        image.bytes[offset:offset + len(data)] = data
        return image
    return change


def cut(length_of):
    return lambda image: image.truncate(length_of(image))


def two_loads_on_one_page(image):
    first, second = loads(image)[:2]
    return image.set_segment(second, "vaddr", image.get_segment(first, "vaddr"))


def segment_that_wraps(image):
    last = loads(image)[-1]
    top = {1: 1 << 32, 2: 1 << 64}[image.elf_class]
    return image.set_segment(last, "vaddr", top - 0x1000 + image.get_segment(last, "offset") % 0x1000) \
                .set_segment(last, "memsz", 0x2000)


def machine_of_the_other_class(image):
    return image.set("machine", {1: elf.EM_X86_64, 2: elf.EM_386}[image.elf_class])


def with_interpreter(image):
    other = next(index for index in range(image.get("phnum")) if index not in loads(image))
    return image.set_segment(other, "type", elf.PT_INTERP)


NOT_ELF = "is not an ELF image"
SHORT = "is truncated"
# name -> (what to do to a good image, what the line must say)
IMAGES = {
    "empty-file": (cut(lambda image: 0), "is empty"),
    "one-byte": (cut(lambda image: 1), NOT_ELF),
    "text": (patch(0, b"#!/bin/sh\necho I am no image\n"), NOT_ELF),
    "magic-only": (cut(lambda image: 4), NOT_ELF),
    "half-a-header": (cut(lambda image: 30), NOT_ELF),
    "header-only": (cut(lambda image: image.get("ehsize")), SHORT),
    "half-the-program-headers": (cut(lambda image: image.segment_at(2)), SHORT),
    "half-a-segment": (cut(lambda image: image.get_segment(loads(image)[-1], "offset") + 1), SHORT),
    "class-0": (patch(4, b"\x00"), NOT_ELF),
    "class-3": (patch(4, b"\x03"), NOT_ELF),
    "big-endian": (patch(5, b"\x02"), "big-endian"),
    "version-0": (patch(6, b"\x00"), NOT_ELF),
    "machine-arm": (header(machine=elf.EM_AARCH64), "machine 183"),
    "machine-of-the-other-class": (machine_of_the_other_class, "is an ELF64 image for the i386|is an x32 image"),
    "relocatable-object": (header(type=1), "object file"),
    "core-file": (header(type=elf.ET_CORE), "is a core file"),
    "interpreter": (with_interpreter, "dynamic executable.*-static"),
    "no-program-headers": (header(phnum=0), "nothing to load"),
    "program-headers-behind-the-end": (header(phoff=1 << 30), SHORT),
    "program-header-size-1": (header(phentsize=1), "program headers of 1 byte"),
    "nothing-to-load": (all_segments(type=0), "nothing to load"),
    "zero-size": (all_segments(filesz=0, memsz=0), "nothing to load"),
    "segments-overlap": (two_loads_on_one_page, "overlap: 0x400000 .* and 0x400000 "),
    "segment-wraps-around": (segment_that_wraps, "wraps around .*0xf+000"),
    "file-part-behind-the-end": (segment(-1, offset=(1 << 31) - 0x1000), f"{SHORT} or broken"),
    "file-part-longer-than-memory": (segment(-1, memsz=1), "more bytes in the file .* than in memory"),
    "exceeds-memory": (segment(-1, memsz=0x70000000), "more memory than the 1073741824 bytes"),
    "at-address-0": (segment(0, vaddr=0), "page 0"),
    "entry-outside": (header(entry=0x10), "entry point at 0x10"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_bad_image_is_refused_by_name(runner, tmp_path, name):
    change, pattern = IMAGES[name]
    path = change(elf.Image(runner.guest("hello"))).write(tmp_path / f"{name}.elf")
    result = runner.run(path)
    assert_refused(result, f"{re.escape(str(path))}:? .*({pattern})")


NO_FILES = [("/tmp", "is a directory"), ("/no/such/guest", "No such file"), ("/dev/zero", "is a device")]


@pytest.mark.parametrize("path, why", NO_FILES)
def test_what_is_no_image_file_is_refused(runner, path, why):
    """/dev/zero never ends, a directory opens well."""
    assert_refused(runner.place.run([runner.hindsight, "run", path]), f"{path}:? .*{why}")


def test_memory_too_small_names_the_smallest_that_works(runner, tmp_path):
    path = segment(-1, memsz=8 * MIB)(elf.Image(runner.guest("hello"))).write(tmp_path / "large.elf")
    result = runner.run(path, options=["--memory", "1M"])
    assert_refused(result, "the smallest limit that works is [0-9]+ bytes")
    least = int(re.search("limit that works is ([0-9]+)", result.stderr)[1])
    assert runner.run(path, options=["--memory", str(least - 4096)]).rc == 125
    assert runner.run(path, options=["--memory", str(least)]).rc == 0


BAD_OPTIONS = ["--heap 12Q", "--timeout soon", "--timeout -1", "--nonsense", "--backend vmware", "--boot grub",
               "--gdb nowhere", "--gdb :70000", "--memory 99999999999G"]


@pytest.mark.parametrize("words", BAD_OPTIONS)
def test_bad_option_is_a_usage_error_that_names_it(runner, words):
    option, *values = words.split()
    result = runner.place.run([runner.hindsight, "run", option, *values, runner.guest("hello")])
    assert_refused(result, option, status=2)


def test_no_guest_is_a_usage_error(runner):
    assert_refused(runner.place.run([runner.hindsight, "run"]), "GUEST", status=2)


def test_port_in_use_is_refused_before_the_guest_runs(runner):
    if runner.place.name == "rig":
        script = 'nc -l -p 7777 & until netstat -ltn | grep -q :7777; do :; done; "$@"; rc=$?; kill $!; exit $rc'
        command = runner.command("hello", options=["--gdb", "127.0.0.1:7777"])
        result = runner.place.run(["sh", "-c", script, "sh", *command])
        assert_refused(result, "127.0.0.1:7777: the address is in use")
        return
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert_refused(runner.run("hello", options=["--gdb", address]), f"{address}: the address is in use")


def test_address_for_other_hosts_needs_permission(runner):
    assert_refused(runner.run("hello", options=["--gdb", "0.0.0.0:0"]), r"0\.0\.0\.0:0: .*--gdb-allow-remote")


def test_i686_where_kvm_cannot_is_refused_with_where_it_would_run(local, local_facts, build):
    reason = facts.missing_for(local_facts, "i686")
    if not reason or not local_facts:
        pytest.skip(f"i686-kvm: {reason or 'this KVM does run i686 guests'}")
    result = local.run([build / "hindsight", "run", "--backend", "kvm", build / "guest/i686/hello.elf"])
    assert_refused(result, "32-bit paging.*--backend soft")


@IN_RIG
def test_missing_dev_kvm_is_refused_with_what_to_do(runner):
    script = 'mount -t tmpfs none /dev && exec "$@"'
    result = runner.place.run(["unshare", "-m", "sh", "-c", script, "sh", *runner.command("hello")])
    assert_refused(result, r"/dev/kvm: this host has no KVM \(.*--backend soft.*\)")


@IN_RIG
def test_forbidden_dev_kvm_is_refused_with_what_to_do(runner):
    command = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *runner.command("hello")]
    assert_refused(runner.place.run(command), r"/dev/kvm: permission denied \(.*--backend soft.*\)")


def last_line(result):
    """What is said of the core, behind the report of the crash."""
    *told, line = result.stderr.splitlines()
    assert told[1] == "signal: SIGSEGV (11)" and told[-1] == "" and "backtrace" in told, result.stderr
    return line


@IN_RIG
def test_no_room_for_the_core_says_so_and_keeps_the_status(runner):
    """On a file system of 64 KiB. The crash is reported as ever, with its own status, and no part of a file stays."""
    mount = "mkdir small && mount -t tmpfs -o size=64k none small"
    script = mount + ' && "$@"; rc=$?; ls -A small >&2; umount small; exit $rc'
    command = runner.command("page_read", options=["--core", "small"])
    result = runner.place.run(["sh", "-c", script, "sh", *command])
    assert result.rc == 128 + 11, str(result)
    assert re.match(r"hindsight: no core: .*small/.*No space left on device", last_line(result))
    assert result.files == {}


def test_core_directory_that_is_not_there_says_so_and_keeps_the_status(runner):
    result = runner.run("page_read", options=["--core", "/no/such/directory"])
    assert result.rc == 128 + 11
    assert re.match(r"hindsight: no core: .*/no/such.*No such file or directory", last_line(result))
    assert result.files == {}
