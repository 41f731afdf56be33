# SPDX-License-Identifier: MIT
"""Training of the generalist: many tasks, one task an update."""
