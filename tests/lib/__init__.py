# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the suites that drive the built command share: where it runs, how it is watched, what reads its cores."""
