# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the suites that drive the built command from the outside.

`runner` runs a test once for each architecture and each CPU: the software CPU (amd64-soft, i686-soft), this machine's
KVM (amd64-kvm, i686-kvm) and that of the rig (amd64-rig, i686-rig). The first two are there on every machine. What a
machine cannot do is a skip that says why; tests/allowed-skips says which of them are right where.
"""

import os
import pathlib
import signal

import pytest
from _pytest.runner import runtestprotocol

from lib import facts, initramfs
from lib.process import Failed
from lib.results import AGAIN
from lib.rig import Rig
from lib.runner import RUNNERS, LocalPlace, RigPlace, Runner

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A shell starts what it runs in the background with these ignored, and so would be all that the tests start.
for number in (signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--build", default=os.environ.get("HINDSIGHT_BUILD", "build"), metavar="DIR",
                     help="the build to test (default $HINDSIGHT_BUILD, or build/)")


def pytest_report_header(config):
    return f"hindsight: {_build(config)}"


def _build(config):
    return (ROOT / config.getoption("--build")).resolve()


@pytest.fixture(scope="session")
def build(request):
    path = _build(request.config)
    if not (path / "hindsight").is_file():
        pytest.fail(f"{path}/hindsight is not there: build it first (ninja -C {path})", pytrace=False)
    return path


@pytest.fixture(scope="session")
def local(tmp_path_factory):
    """This machine as a place."""
    return LocalPlace(tmp_path_factory.mktemp("local"))


class _Once:
    """A rig that is started when first asked for, once; a failure to start is remembered."""

    def __init__(self):
        self.rig = self.problem = None

    def get(self, files):
        if not self.rig and not self.problem:
            try:
                self.rig = Rig(files)
            except Failed as error:
                self.problem = str(error)
        return self.rig

    def close(self):
        if self.rig:
            self.rig.close()
            self.rig = None


ONCE = pytest.StashKey()


def pytest_configure(config):
    config.stash[ONCE] = _Once()


def pytest_unconfigure(config):
    config.stash[ONCE].close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """A test that fails and has lost its rig runs again, once, with everything set up anew.

    The translator of QEMU 7.2 has been seen to die of a segmentation fault after some hundreds of commands, and a
    connection to be closed before its command's end. What hindsight does wrong, it does wrong in a fresh machine too.
    """
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports, lost = _run_once(item, nextitem)
    if lost:
        item.user_properties.append((AGAIN, lost))
        reports, _ = _run_once(item, nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _run_once(item, nextitem):
    """The reports of one run, and what it has lost of the rig if it failed; nothing is set up any more then."""
    once = item.config.stash[ONCE]
    if once.rig:
        once.rig.watch()
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    lost = once.rig.lost() if once.rig and any(report.failed for report in reports) else None
    if lost:
        item.session._setupstate.teardown_exact(None)
        once.close()
    return reports, lost


@pytest.fixture(scope="session")
def rig(request, tmp_path_factory):
    """The rig as a place: one for all tests, with the built command and all guest programs inside from the start."""
    build_path = _build(request.config)
    files = [path for path in (build_path / "hindsight", *sorted(build_path.glob("guest/*/*.elf"))) if path.is_file()]
    once = request.config.stash[ONCE]
    machine = once.get([*files, facts.program()])
    if not machine:
        pytest.skip(f"rig: {once.problem}")
    return RigPlace(machine, tmp_path_factory.mktemp("rig"))


@pytest.fixture(scope="session")
def local_facts(local):
    return facts.of(local)


@pytest.fixture(scope="session", params=RUNNERS)
def runner(request, build):
    """`hindsight` for guests of one architecture on one CPU."""
    arch, cpu = request.param.split("-")
    if cpu == "rig":
        return Runner(request.getfixturevalue("rig"), build, arch, "kvm")
    reason = facts.missing_for(request.getfixturevalue("local_facts"), arch) if cpu == "kvm" else None
    if reason:
        pytest.skip(f"{request.param}: {reason}")
    return Runner(request.getfixturevalue("local"), build, arch, cpu)
